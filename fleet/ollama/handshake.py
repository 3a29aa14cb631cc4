"""What a connection to a host tells besides its replies: the clock on the other side, and how long its certificate holds.

A connection of its own, without credentials: it also shows whether the host answers who has none.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from fleet.endpoint import Endpoint
from fleet.errors import HostUnreachable
from fleet.ollama.credentials import Trust, tls_context

_LONGEST_HEAD = 64 << 10
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_DATE = re.compile(rb"\r\ndate:[ \t]*([^\r\n]{1,100})\r\n", re.IGNORECASE)
_RESOLUTION = timedelta(seconds=1)
"""Of the `Date` header."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """Nothing stands for what was not told."""

    status: int | None = None
    """Of the answer to a request without credentials."""
    ahead: timedelta | None = None
    """How far the other clock is ahead of ours at least, negative behind; zero where the two may agree."""
    certificate_ends: datetime | None = None


async def shake_hands(endpoint: Endpoint, trust: Trust | None, within: float) -> Handshake:
    """Asks for the head of `/api/version` alone, within so many seconds. What fails is told by nothing."""
    with suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, HostUnreachable):
        async with asyncio.timeout(within):
            return await _shaken(endpoint, trust)
    return Handshake()


async def _shaken(endpoint: Endpoint, trust: Trust | None) -> Handshake:
    context = tls_context(trust) if endpoint.scheme == "https" else None
    called = trust.server_name if trust is not None else None
    reader, writer = await asyncio.open_connection(
        endpoint.host,
        endpoint.port,
        ssl=context,
        server_hostname=(called or endpoint.host) if context is not None else None,
        limit=_LONGEST_HEAD,
    )
    try:
        lines = (
            f"HEAD {endpoint.prefix}/api/version HTTP/1.1",
            f"Host: {endpoint.authority}",
            "User-Agent: ollama-fleet",
            "Connection: close",
        )
        begun = datetime.now(UTC)
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        head = await reader.readuntil(b"\r\n\r\n")
        ended = datetime.now(UTC)
        status = _STATUS.match(head)
        certificate = writer.get_extra_info("peercert")
        return Handshake(int(status[1]) if status else None, ahead(head, begun, ended), _ends(certificate))
    finally:
        writer.close()


def ahead(head: bytes, begun: datetime, ended: datetime) -> timedelta | None:
    """How far the clock that wrote the `Date` of a head is ahead of ours, which read `begun` and `ended` around it."""
    match = _DATE.search(head)
    if match is None:
        return None
    try:
        told = parsedate_to_datetime(match[1].decode("latin-1"))
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        least, most = told - ended, told + _RESOLUTION - begun
    except (ValueError, OverflowError):
        return None
    return max(least, timedelta()) or min(most, timedelta())


def _ends(certificate: object) -> datetime | None:
    until = certificate.get("notAfter") if isinstance(certificate, dict) else None
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC) if isinstance(until, str) else None
    except (ValueError, OverflowError):
        return None
