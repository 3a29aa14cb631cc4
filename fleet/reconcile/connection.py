"""From a host of the inventory to a client that speaks to it."""

from __future__ import annotations

from fleet.endpoint import Endpoint
from fleet.manifest.inventory import Host
from fleet.ollama.client import Client
from fleet.ollama.credentials import Credentials, Trust
from fleet.ollama.limits import Limits, Retries
from fleet.settings import Settings


def connect(host: Host, settings: Settings) -> Client:
    """A client for this host; nothing is sent before it is used. Raises `fleet.errors.HostUnreachable` for a
    credential or certificate that cannot be read.
    """
    auth, tls = host.auth, host.tls
    return Client(
        Endpoint.parse(host.url),
        credentials=None
        if auth is None
        else Credentials(auth.kind, auth.secret.file, auth.secret.environment, auth.username or "", auth.header or ""),
        tls=None if tls is None else Trust(tls.ca_file, tls.cert_file, tls.key_file, tls.server_name),
        limits=limits(settings),
        retries=Retries(tries=settings.retry_tries, first=settings.retry_wait),
    )


def limits(settings: Settings) -> Limits:
    """What the settings say of how long a host may take; sizes are not for settings."""
    return Limits(
        connect=settings.connect_timeout,
        answer=settings.answer_deadline,
        silence=settings.silence,
        verifying=settings.verify_silence,
        creating=settings.create_silence,
        stall_window=settings.stall_window,
        stall_floor=settings.stall_floor,
        load=settings.load_timeout,
    )
