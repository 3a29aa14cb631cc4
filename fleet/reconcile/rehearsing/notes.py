"""In what a rehearsal is not what it stands for, in whole sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.foreign import clean
from fleet.manifest.item import Desired
from fleet.names import HostName, ModelName
from fleet.reconcile.observed import Observed
from fleet.reconcile.rehearsing.host_copies import speakable
from fleet.reconcile.rehearsing.offers import Offer
from fleet.reconcile.rehearsing.snapshot import KeptHost, Snapshot
from fleet.reconcile.step import Action, Plan


def notes_on(snapshot: Snapshot, desired: Desired, made: Plan, offers: Iterable[Offer]) -> tuple[str, ...]:
    """`made` is the plan on the copies."""
    notes = [*made.notes, *(offer.note for offer in offers if offer.note is not None)]
    left_out = sorted(snapshot.hosts.keys() - desired.hosts.keys())
    if left_out:
        notes.append(f"the inventory does not have {_some(left_out)}, which the snapshot has")
    for name, kept in sorted(snapshot.hosts.items()):
        observed = made.observations.get(HostName(name))
        if isinstance(observed, Observed):
            notes += _on_host(name, kept, observed)
    if any(step.action is Action.CHECK for step in made.steps):
        notes.append("copies cannot think: every answer to a `check` is taken to be as expected")
    return tuple(notes)


def _on_host(name: str, kept: KeptHost, observed: Observed) -> Iterator[str]:
    wrong = [model.listed for model in kept.models if not speakable(model.listed)]
    if wrong:
        yield f"on `{name}`, {_some(wrong)} is listed, which is no name that a copy could have"
    not_shown = [
        model.listed
        for model in kept.models
        if speakable(model.listed)
        and ModelName.parse(model.listed) in observed.contents
        and not (model.shown or model.broken or model.remote)
    ]
    if not_shown:
        yield (
            f"what `{name}` shows of {_some(not_shown)} is not in the snapshot, and the plan asks for it: take one with"
            " these manifests, or without `-f`"
        )


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"`{clean(name, limit=100)}`" for name in names[:most]) + more
