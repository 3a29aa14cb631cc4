"""Who else can reach a host, and read what is said to it. Pure: a function of addresses, and of how fleet goes there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from fleet.endpoint import Endpoint
from fleet.manifest.inventory import Host
from fleet.ollama.handshake import Handshake
from fleet.quantities import show_duration
from fleet.reconcile.doctor.advisories import NO_AUTHENTICATION
from fleet.reconcile.doctor.finding import About, Finding, Severity

CERTIFICATE_SOON = timedelta(days=14)
CLOCK_APART = timedelta(seconds=30)
"""A warm model is loaded anew when a third of its time is left, by the host's clock laid beside ours."""


def exposed(host: Host, addresses: Iterable[str], handshake: Handshake) -> Iterator[Finding]:
    """`addresses` are those that the host's name stands for, as numbers."""
    endpoint = Endpoint.parse(host.url)
    plain = endpoint.scheme == "http"
    known = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    public = any(address.is_global for address in known)
    proves_itself = host.auth is not None or (host.tls is not None and host.tls.cert_file is not None)
    if public and plain:
        yield Finding(
            Severity.PROBLEM,
            About.EXPOSURE,
            "reached at a public address over plain HTTP: everybody on the way can read and change what is said, and"
            f" whoever reaches it can do everything, since Ollama authenticates nobody ({NO_AUTHENTICATION})",
            "have Ollama listen at a private address, or put a proxy before it that has TLS and asks for credentials",
            host.name,
            advisory=NO_AUTHENTICATION,
        )
    elif public and not proves_itself:
        yield Finding(
            Severity.WARNING,
            About.EXPOSURE,
            "reached at a public address without any credential: whoever finds it can pull, delete and load models,"
            f" since Ollama authenticates nobody ({NO_AUTHENTICATION})",
            "have its proxy ask for credentials, and name them under `auth` in the inventory",
            host.name,
            advisory=NO_AUTHENTICATION,
        )
    if host.auth is not None and plain and not all(address.is_loopback for address in known):
        yield Finding(
            Severity.WARNING,
            About.EXPOSURE,
            "its credentials are sent over plain HTTP, where everybody on the way can read them",
            "reach it by `https://`",
            host.name,
        )
    if host.auth is not None and handshake.status == 200:
        yield Finding(
            Severity.WARNING,
            About.EXPOSURE,
            "answers without the credentials that `auth` names: they protect nothing",
            "have its proxy refuse who has none, or take `auth` out of the inventory",
            host.name,
        )


def of_connection(host: Host, handshake: Handshake, now: datetime) -> Iterator[Finding]:
    """Clock and certificate."""
    if handshake.ahead is not None and abs(handshake.ahead) >= CLOCK_APART:
        apart = show_duration(float(round(abs(handshake.ahead).total_seconds())))
        yield Finding(
            Severity.WARNING,
            About.CLOCK,
            f"its clock is {apart} {'ahead of' if handshake.ahead > timedelta() else 'behind'} the one here: how long a"
            " model stays in memory and how old it is are judged wrongly",
            "have both machines keep time by NTP",
            host.name,
        )
    ends = handshake.certificate_ends
    if ends is not None and ends - now <= CERTIFICATE_SOON:
        yield Finding(
            Severity.WARNING,
            About.CERTIFICATE,
            f"its certificate ends at {ends:%Y-%m-%d %H:%M} UTC",
            "renew it: fleet will not go on without a valid one",
            host.name,
        )
