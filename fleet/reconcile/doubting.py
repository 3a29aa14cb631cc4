"""Shows models that may be listed and not be whole, beyond those on which a plan hangs anyway.

A server lists a model as soon as its image manifest is written, whatever became of its layers: after a pull or create
that was left, and where another client's work ran beside a delete (`reliability.md` B.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fleet.errors import HostError
from fleet.manifest.item import Alias, HostDesired
from fleet.names import HostName, ModelName
from fleet.ollama.client import Client
from fleet.reconcile.connection import Reach
from fleet.reconcile.observe import unobserved, whole
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.places import at_once
from fleet.settings import Settings
from fleet.state.remembered import Remembered


async def with_doubted(
    hosts: Sequence[HostDesired],
    observations: Mapping[HostName, Observation],
    remembered: Remembered,
    settings: Settings,
    reach: Reach,
) -> dict[HostName, Observation]:
    """The observations, with what each host shows of declared models whose pull or create has no known end."""
    found, places = dict(observations), asyncio.Semaphore(at_once(settings.parallelism))

    async def one(desired: HostDesired, observed: Observed, names: Iterable[ModelName]) -> None:
        async with places:
            try:
                async with reach(desired.host, settings) as client:
                    found[desired.host.name] = await shown(client, observed, names)
            except HostError as error:
                found[desired.host.name] = unobserved(desired.host.name, error)

    async with asyncio.TaskGroup() as group:
        for desired in hosts:
            host, observed = desired.host, observations[desired.host.name]
            known = remembered.hosts.get(host.name)
            if known is None or known.url != host.url or not isinstance(observed, Observed):
                continue
            names = {item.name for item in desired.items} & known.begun.keys() & observed.models.keys()
            if names:
                group.create_task(one(desired, observed, names))
    return found


async def shown(client: Client, observed: Observed, names: Iterable[ModelName]) -> Observed:
    """The observation, with what the host shows of those of the models that it lists. Raises `HostError`."""
    wanted = [
        name
        for name in sorted(names)
        if name in observed.models and name not in observed.contents and not observed.models[name].remote
    ]
    contents = {name: await whole(client, observed.models[name]) for name in wanted}
    return replace(observed, contents={**observed.contents, **contents}) if contents else observed


def with_layers(desired: HostDesired) -> frozenset[ModelName]:
    """Declared models that have layers of their own; an alias is as whole as its source."""
    return frozenset(item.name for item in desired.items if not isinstance(item.source, Alias))
