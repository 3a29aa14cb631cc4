"""Examines hosts, registries and this machine, and gives every finding. Nothing is changed anywhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fleet.endpoint import Endpoint
from fleet.manifest.item import Desired, HostDesired
from fleet.names import HostName
from fleet.ollama.handshake import Handshake, shake_hands
from fleet.reconcile.connection import trust
from fleet.reconcile.doctor.exposure import exposed, of_connection
from fleet.reconcile.doctor.finding import About, Finding, Severity, ordered
from fleet.reconcile.doctor.machine import of_machine
from fleet.reconcile.doctor.models import of_models
from fleet.reconcile.doctor.registries import Trial, not_asked, of_trial, trials, untried
from fleet.reconcile.doctor.version import of_host
from fleet.reconcile.inside import Inside, look_into
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.places import at_once
from fleet.settings import Settings

_NOT_SHAKEN = Handshake()


@dataclass(frozen=True, slots=True)
class Examined:
    """One host, as far as it could be looked at."""

    desired: HostDesired
    looked: Inside | Unobserved
    addresses: tuple[str, ...] = ()
    handshake: Handshake = _NOT_SHAKEN


async def examine(
    desired: Desired,
    hosts: Mapping[HostName, HostDesired],
    settings: Settings,
    environment: Mapping[str, str],
    seen: Callable[[HostName, Inside | Unobserved], None],
) -> tuple[Finding, ...]:
    """Everything that is found, the worst first. `hosts` are those of `desired` to look at."""
    found = list(of_machine([host.host for host in hosts.values()], desired.name, settings, environment))
    for examined in await _examine_all(hosts.values(), settings, seen):
        found += of_examined(examined, datetime.now(UTC))
    tried = trials(desired, hosts.values())
    found += untried(desired, tried)
    found += await _of_registries(desired, tried, settings) if settings.ask_registries else not_asked(tried)
    return ordered(found)


def of_examined(examined: Examined, now: datetime) -> list[Finding]:
    """All that is to be said of one host."""
    host, looked = examined.desired.host, examined.looked
    found = list(exposed(host, examined.addresses, examined.handshake))
    if isinstance(looked, Unobserved):
        said = f"; the host said `{looked.told}`" if looked.told and looked.told not in looked.message else ""
        expected = host.suspended is not None
        return [
            Finding(
                Severity.NOTE if expected else Severity.PROBLEM,
                About.REACHABILITY,
                f"{looked.message}{said}" + (" (it is suspended)" if expected else ""),
                looked.hint or looked.code.cure,
                host.name,
                looked.code,
            ),
            *found,
        ]
    found += of_connection(host, examined.handshake, now)
    found += (replace(each, host=host.name) for each in of_host(examined.desired, looked.observed.version))
    found += of_models(looked.observed)
    return found


async def _examine_all(
    hosts: Iterable[HostDesired], settings: Settings, seen: Callable[[HostName, Inside | Unobserved], None]
) -> list[Examined]:
    places = asyncio.Semaphore(at_once(settings.parallelism))

    async def one(desired: HostDesired) -> Examined:
        async with places:
            examined = await _examined(desired, settings)
        seen(desired.host.name, examined.looked)
        return examined

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(desired)) for desired in hosts]
    return [task.result() for task in tasks]


async def _examined(desired: HostDesired, settings: Settings) -> Examined:
    host = desired.host
    endpoint = Endpoint.parse(host.url)
    looked = await look_into(host, settings)
    addresses = await _resolved(endpoint, settings.connect_timeout)
    if isinstance(looked, Unobserved):
        return Examined(desired, looked, addresses)
    shaken = await shake_hands(endpoint, trust(host, settings), settings.answer_deadline)
    return Examined(desired, looked, addresses, shaken)


async def _resolved(endpoint: Endpoint, within: float) -> tuple[str, ...]:
    """The addresses that the host's name stands for; none where it cannot be looked up."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    return tuple(sorted({str(address[0]) for *_, address in found}))


async def _of_registries(desired: Desired, tried: tuple[Trial, ...], settings: Settings) -> list[Finding]:
    from fleet.reconcile.registries import registries_of  # noqa: PLC0415  # another HTTP client, wanted here alone
    from fleet.registry.served import Published  # noqa: PLC0415

    async with registries_of(desired, settings) as registries:

        async def tried_out(trial: Trial) -> list[Finding]:
            if trial.redirects:
                return list(of_trial(trial, await registries.blobs(trial.model)))
            served = await registries.served(trial.model)
            return list(of_trial(trial, None if isinstance(served, Published) else served))

        found = await asyncio.gather(*map(tried_out, tried))
    return [finding for each in found for finding in each]
