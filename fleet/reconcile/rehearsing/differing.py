"""Whether copies show what the hosts showed: where one does not, a rehearsal says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from fleet.errors import HostError
from fleet.foreign import clean
from fleet.manifest.item import Desired
from fleet.names import HostName
from fleet.ollama.client import Client
from fleet.reconcile.connection import connect
from fleet.reconcile.observed import Content
from fleet.reconcile.reading import content
from fleet.reconcile.rehearsing.host_copies import content_of
from fleet.reconcile.rehearsing.snapshot import KeptModel, Snapshot
from fleet.reconcile.rehearsing.texts import Texts
from fleet.settings import Settings

_NO_MATTER = frozenset({"parent"})
"""What nothing is decided by."""


async def differing_copies(
    snapshot: Snapshot, desired: Desired, hosts: Iterable[str], settings: Settings, texts: Texts
) -> tuple[str, ...]:
    """A sentence for each content that its copy does not show as it was recorded. `desired` is asked of the copies.

    Each content is looked at once for each version of a server.
    """
    seen: set[tuple[str, str, str]] = set()
    notes: list[str] = []
    for name in hosts:
        kept = snapshot.hosts[name]
        fresh = [
            model for model in kept.models if model.shown and (kept.version, model.digest, model.shown) not in seen
        ]
        seen.update((kept.version, model.digest, model.shown or "") for model in fresh)
        if not fresh:
            continue
        async with connect(desired.hosts[HostName(name)].host, settings) as client:
            for model in fresh:
                other = await _differing(client, model, content_of(snapshot.contents[model.shown or ""], texts))
                if other:
                    notes.append(
                        f"the copy of `{name}` does not show `{clean(model.listed, limit=200)}` as the host did:"
                        f" {', '.join(other)}"
                    )
    return tuple(notes)


async def _differing(client: Client, model: KeptModel, recorded: Content) -> list[str]:
    """The fields that the copy shows otherwise."""
    try:
        shown = content(await client.show(model.listed))
    except HostError as error:
        return [clean(str(error), limit=300)]
    return [
        field.name
        for field in fields(Content)
        if field.name not in _NO_MATTER and getattr(shown, field.name) != getattr(recorded, field.name)
    ]
