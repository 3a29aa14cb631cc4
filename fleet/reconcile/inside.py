"""Looks into hosts: every model that is listed, with all that the host shows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleet.manifest.inventory import Host
from fleet.names import Digest, HostName, ModelName
from fleet.ollama import shown
from fleet.ollama.client import Client, ModelMissing
from fleet.reconcile.connection import connect
from fleet.reconcile.observe import unobserved
from fleet.reconcile.observed import Content, Observed, Unobserved
from fleet.reconcile.places import at_once
from fleet.reconcile.reading import content, listing, runners
from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Inside:
    """One host, looked into. `observed.contents` has every listed model that is no cloud stub."""

    host: Host
    observed: Observed
    licences: Mapping[ModelName, tuple[str, ...]] = field(default_factory=dict)
    """The single texts, which a content has joined."""


async def look_inside_all(
    hosts: Iterable[Host], settings: Settings, seen: Callable[[HostName, Inside | Unobserved], None]
) -> dict[HostName, Inside | Unobserved]:
    """Looks into each host, at most `settings.parallelism` at once. Never raises for what a host does."""
    places = asyncio.Semaphore(at_once(settings.parallelism))
    found: dict[HostName, Inside | Unobserved] = {}

    async def one(host: Host) -> None:
        async with places:
            found[host.name] = await look_into(host, settings)
        seen(host.name, found[host.name])

    async with asyncio.TaskGroup() as group:
        for host in hosts:
            group.create_task(one(host))
    return dict(sorted(found.items()))


async def look_into(host: Host, settings: Settings) -> Inside | Unobserved:
    """One look, whatever the host does."""
    try:
        async with connect(host, settings) as client:
            return await look_inside(client, host)
    except Exception as error:
        return unobserved(host.name, error)


async def look_inside(client: Client, host: Host) -> Inside:
    """Version, tags, ps, and show for every content that is listed. Raises `HostError`."""
    version = await client.place(await client.version())
    # A listing can miss a model for an instant (`ollama-api.md` 4); what is missed here would not be declared.
    found = max((listing(await client.tags()), listing(await client.tags())), key=lambda each: len(each.models))
    running = runners(await client.ps())
    shown_of: dict[Digest, tuple[Content, tuple[str, ...]] | None] = {}
    contents: dict[ModelName, Content | None] = {}
    licences: dict[ModelName, tuple[str, ...]] = {}
    for name, present in sorted(found.models.items()):
        if present.remote:
            continue
        if present.digest not in shown_of:
            shown_of[present.digest] = await _shown(client, present.listed)
        both = shown_of[present.digest]
        contents[name] = None if both is None else both[0]
        licences[name] = () if both is None else both[1]
    observed = Observed(
        host.name,
        version,
        found.models,
        running,
        contents,
        found.collisions,
        found.unreadable,
        found.invalid,
        datetime.now(UTC),
        modified=found.modified,
    )
    return Inside(host, observed, licences)


async def _shown(client: Client, listed: str) -> tuple[Content, tuple[str, ...]] | None:
    """Nothing where the model is listed and not whole."""
    try:
        show = await client.show(listed)
    except ModelMissing:
        return None
    return content(show), shown.read(show).licenses
