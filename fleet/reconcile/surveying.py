"""Looks at what hosts hold and asks what registries serve, for verbs that compare and change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fleet.manifest.item import Desired, HostDesired
from fleet.names import HostName, ModelName
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation
from fleet.reconcile.outdated import Compared, compare
from fleet.reconcile.progress import HostAwaited, HostSeen, Listener, deaf
from fleet.reconcile.publishers import publishers
from fleet.reconcile.pulled import pulled_of, pulls_alone
from fleet.registry.locked import Locked
from fleet.registry.served import Served
from fleet.settings import Settings


async def held(
    hosts: Iterable[HostDesired], settings: Settings, listener: Listener = deaf
) -> dict[HostName, Observation]:
    """What each host lists of what is pulled there, or why it does not tell."""
    chosen = [pulls_alone(host) for host in hosts]
    seen = 0

    def tell(host: HostName, observation: Observation) -> None:
        nonlocal seen
        seen += 1
        listener(HostSeen(host, observation, seen, len(chosen)))

    return await observe_all(
        chosen, settings, tell, awaited=lambda host, why, left: listener(HostAwaited(host, why, left))
    )


async def served(names: Iterable[ModelName], desired: Desired, settings: Settings) -> Mapping[ModelName, Served]:
    """What registries serve under these names; nothing at all where the settings have none asked."""
    wanted = sorted(set(names))
    async with publishers(desired, settings) as ask:
        found = await asyncio.gather(*(ask(name) for name in wanted))
    return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What came of a look at hosts and registries."""

    models: tuple[Compared, ...]
    observations: Mapping[HostName, Observation]


async def survey(
    desired: Desired,
    hosts: Iterable[HostDesired],
    wanted: Callable[[ModelName], bool],
    lock: Mapping[ModelName, Locked],
    settings: Settings,
    listener: Listener = deaf,
) -> Surveyed:
    """How the wanted pulled models of these hosts stand to the lock file and to what registries serve now.

    Hosts and registries are asked at the same time: neither needs the other.
    """
    chosen = list(hosts)
    names = {host.host.name for host in chosen}
    pulled = [each for each in pulled_of(desired) if wanted(each.name)]
    origins = (origin for each in pulled for origin, there in each.sources.items() if names & {*there})
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(held(chosen, settings, listener))
        asking = group.create_task(served(origins, desired, settings))
    return Surveyed(compare(pulled, lock, looking.result(), asking.result()), looking.result())
