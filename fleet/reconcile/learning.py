"""What a plan has to know beyond a first look at the hosts: what registries serve, and which blobs are on a host.

Asked only where a decision or a size hangs on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from fleet.errors import HostError
from fleet.manifest.inventory import Update
from fleet.manifest.item import Create, Desired, HostDesired, Item, Pull
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.connection import Reach, connect
from fleet.reconcile.created import recorded
from fleet.reconcile.diff import in_order, needs
from fleet.reconcile.known import Known, asked
from fleet.reconcile.making import blobs
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.places import at_once
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.shared import Ask
from fleet.registry.image import Image
from fleet.registry.served import Published, Served
from fleet.settings import Settings
from fleet.state.digests import Digests
from fleet.state.evidence import Evidence
from fleet.state.remembered import Remembered


def evidence_of(host: HostDesired, remembered: Remembered) -> Mapping[ModelName, Evidence]:
    """What is recorded of a host's created models; another machine's past tells nothing."""
    known = remembered.hosts.get(host.host.name)
    return known.evidence if known is not None and known.url == host.host.url else {}


def forms_of(desired: Desired, settings: Settings) -> dict[Digest, frozenset[Digest]]:
    """Every pin's other forms, as far as their images were seen at some time."""
    pins = {
        item.source.pin
        for host in desired.hosts.values()
        for item in host.items
        if isinstance(item.source, Pull) and item.source.pin is not None
    }
    if not pins:
        return {}
    with Digests(settings.state_dir) as digests:
        return {pin: digests.forms_of(pin) for pin in sorted(pins)}


def keep_forms(known: Known, settings: Settings) -> None:
    """The forms of every image that a registry served in this pass, for passes in which it does not answer."""
    images = [served.image for served in known.served.values() if isinstance(served, Published)]
    if images:
        with Digests(settings.state_dir) as digests:
            for image in images:
                digests.keep_forms(image.raw, image.normalised)


async def learn(
    hosts: Iterable[HostDesired], observations: Mapping[HostName, Observation], ask: Ask, known: Known
) -> Known:
    """What registries serve, of the names on which something hangs; each is asked about once for all hosts."""
    names = sorted({name for host in hosts for name in _to_ask(host, observations[host.host.name], known)})
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_answer(ask, name)) for name in names}
    served = {name: task.result() for name, task in tasks.items()}
    return replace(known, served={name: found for name, found in served.items() if found is not None})


async def _answer(ask: Ask, name: ModelName) -> Served | None:
    return await ask(name)


def _to_ask(host: HostDesired, observation: Observation, known: Known) -> Iterator[ModelName]:
    if not isinstance(observation, Observed) or host.host.suspended is not None:
        return
    for item in host.items:
        if isinstance(item.source, Pull) and _hangs(item, item.source, observation, known):
            yield asked(item, item.source)
        if item.push:
            yield item.name


def _hangs(item: Item, pull: Pull, observed: Observed, known: Known) -> bool:
    present = observed.models.get(item.name)
    if present is None or (item.name in observed.contents and observed.contents[item.name] is None):
        return True
    accepted = known.accepted(item, pull)
    if accepted is not None:
        return present.digest not in accepted
    return pull.update is Update.ALWAYS


async def with_blobs(
    hosts: Iterable[HostDesired],
    observations: Mapping[HostName, Observation],
    known: Known,
    remembered: Remembered,
    settings: Settings,
    reach: Reach = connect,
) -> dict[HostName, Observation]:
    """The observations, with what each host has of the blobs that it is to get. A host that does not tell is taken to
    have none of them.
    """
    found = dict(observations)
    places = asyncio.Semaphore(at_once(settings.parallelism))

    async def one(host: HostDesired, observed: Observed, wanted: frozenset[Digest]) -> None:
        async with places:
            there = await _there(host, wanted, settings, reach)
        found[host.host.name] = replace(observed, blobs=there)

    async with asyncio.TaskGroup() as group:
        for host in hosts:
            observation = observations[host.host.name]
            if isinstance(observation, Observed) and host.host.suspended is None:
                wanted = frozenset(_wanted(host, observation, known, remembered))
                if wanted:
                    group.create_task(one(host, observation, wanted))
    return found


def with_what_came(before: Observed, after: Observation, done: Iterable[Step], known: Known) -> Observation:
    """The last look at a host, with what is known of its blobs without asking again: those that it had before, and
    those that these steps brought.
    """
    if not isinstance(after, Observed):
        return after
    blobs = dict(before.blobs)
    for step in done:
        if step.blob is not None and step.blob.digest is not None:
            blobs[step.blob.digest] = True
        if step.item is not None and isinstance(step.item.source, Pull) and step.action is Action.PULL:
            image = known.image(asked(step.item, step.item.source))
            blobs.update((layer, True) for layer in (_layers(image) if image is not None else ()))
    return replace(after, blobs=blobs)


async def _there(host: HostDesired, wanted: frozenset[Digest], settings: Settings, reach: Reach) -> dict[Digest, bool]:
    there: dict[Digest, bool] = {}
    try:
        async with reach(host.host, settings) as client:
            for digest in sorted(wanted):
                there[digest] = await client.blob_exists(digest)
    except HostError:
        # What is not known is asked again by whoever acts on it.
        return there
    return there


def _wanted(host: HostDesired, observed: Observed, known: Known, remembered: Remembered) -> Iterator[Digest]:
    """Layers of what is to be pulled, and local blobs of what is to be made. What evidence proves is made anew where
    what it is made from changes, and only a plan tells for sure: so what stands on anything that may change is asked for.
    """
    evidence = evidence_of(host, remembered)
    moving: set[ModelName] = set()
    for item in in_order({item.name: item for item in host.items}):
        source, present = item.source, observed.models.get(item.name)
        broken = present is None or observed.contents.get(item.name, present) is None
        moves = broken or needs(item) in moving
        if isinstance(source, Pull):
            accepted = known.accepted(item, source)
            moves = moves or (present is not None and accepted is not None and present.digest not in accepted)
            image = known.image(asked(item, source))
            if image is not None and moves:
                yield from _layers(image)
        elif isinstance(source, Create):
            base = observed.models.get(source.base) if source.base is not None else None
            moves = moves or not (
                present is not None
                and recorded(source, present, base.digest if base is not None else None, evidence.get(item.name))
            )
            if moves:
                yield from (blob.digest for blob in blobs(source, observed.version) if blob.digest is not None)
        if moves:
            moving.add(item.name)


def _layers(image: Image) -> Iterator[Digest]:
    yield from (layer.digest for layer in image.blobs)
