"""How long the certificates of hosts hold: asked for on connections of their own, now and then, beside all passes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from fleet.endpoint import Endpoint
from fleet.manifest.inventory import Host
from fleet.names import HostName
from fleet.ollama.credentials import Trust
from fleet.ollama.handshake import shake_hands

EVERY = 6 * 3600.0
"""Seconds between two looks: what ends in days is not asked for in minutes."""
_AT_ONCE = 8


async def ends(hosts: Iterable[Host], within: float, credentials_dir: str | None = None) -> dict[HostName, datetime]:
    """When each certificate ends, of hosts with TLS that could be connected to; each is waited for `within` seconds at
    most. Credentials are not sent. What fails is left out, since the pass tells of it. `credentials_dir` as in the
    settings.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(host: Host, endpoint: Endpoint) -> tuple[HostName, datetime | None]:
        tls = host.tls
        trust = (
            None
            if tls is None
            else Trust(tls.ca_file, tls.cert_file, tls.key_file, tls.server_name, handed_over=credentials_dir)
        )
        async with places:
            return host.name, (await shake_hands(endpoint, trust, within)).certificate_ends

    found = [(host, Endpoint.parse(host.url)) for host in hosts]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(one(host, endpoint)) for host, endpoint in found if endpoint.scheme == "https"]
    return {name: until for name, until in (task.result() for task in asked) if until is not None}
