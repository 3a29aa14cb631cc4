"""From a host of the inventory to a client that speaks to it."""

from __future__ import annotations

from collections.abc import Callable

from fleet.endpoint import Endpoint
from fleet.manifest.inventory import Host
from fleet.ollama.client import Client
from fleet.ollama.credentials import Credentials, Trust
from fleet.ollama.limits import Limits, Retries
from fleet.settings import Settings

Reach = Callable[[Host, Settings], Client]
"""How a pass comes to its clients: `connect`, over sockets, unless whoever starts it knows another way."""


def connect(host: Host, settings: Settings) -> Client:
    """A client for this host; nothing is sent before it is used. Raises `fleet.errors.HostUnreachable` for a
    credential or certificate that cannot be read.
    """
    return Client(
        Endpoint.parse(host.url),
        credentials=_credentials(host, settings),
        tls=trust(host, settings),
        limits=limits(settings),
        retries=Retries(tries=settings.retry_tries, first=settings.retry_wait),
    )


def trust(host: Host, settings: Settings) -> Trust | None:
    """Whom to trust there, and our own certificate; nothing where the inventory says nothing of it."""
    tls = host.tls
    if tls is None:
        return None
    return Trust(tls.ca_file, tls.cert_file, tls.key_file, tls.server_name, handed_over=settings.credentials_dir)


def _credentials(host: Host, settings: Settings) -> Credentials | None:
    auth = host.auth
    if auth is None:
        return None
    return Credentials(
        auth.kind,
        auth.secret.file,
        auth.secret.environment,
        auth.username or "",
        auth.header or "",
        command=settings.credential_command,
        handed_over=settings.credentials_dir,
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
