"""What `fleet lock` makes of manifests, lock file, registries and hosts: for each model, what the file is to have. Pure.

What is locked already stays, unless a person asks for more: a lock file that moved by itself would accept for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from fleet.codes import Code
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.pulled import Pulled
from fleet.registry.image import Image
from fleet.registry.locked import Locked
from fleet.registry.served import Served, Unpublished


class Change(StrEnum):
    """What happens to one model of the lock file."""

    KEPT = "kept"
    ADDED = "added"
    MOVED = "moved"
    DROPPED = "dropped"
    FAILED = "failed"
    """It stays as it was, or stays out, and should not."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One model: what the file has of it, what it is to have, and why not more, where that is so."""

    name: ModelName
    change: Change
    before: Locked | None = None
    after: Locked | None = None
    """Nothing where it goes, fails for the first time, or was not asked about."""
    code: Code | None = None
    message: str | None = None
    hint: str | None = None


def changes(decisions: Iterable[Decision]) -> bool:
    """Whether the file would have other models, or the same ones with another content."""
    return any(decision.change in {Change.ADDED, Change.MOVED, Change.DROPPED} for decision in decisions)


def entries(decisions: Iterable[Decision]) -> tuple[Locked, ...]:
    """What the file has afterwards."""
    return tuple(decision.after for decision in decisions if decision.after is not None)


def unsettled(
    pulled: Iterable[Pulled], lock: Mapping[ModelName, Locked], upgrade: Callable[[ModelName], bool]
) -> tuple[Pulled, ...]:
    """The models that a registry has to be asked about: new ones, those whose pin changed, those to be upgraded."""
    return tuple(
        each
        for each in pulled
        if each.name not in lock or not each.pins <= lock[each.name].digests or upgrade(each.name)
    )


def by_registries(
    pulled: Sequence[Pulled],
    lock: Mapping[ModelName, Locked],
    asked: Iterable[Pulled],
    served: Mapping[ModelName, Served],
    today: date,
) -> tuple[Decision, ...]:
    """The decisions after those in `asked` were asked about; what is not in `served` will be by somebody else."""
    about = {each.name for each in asked}
    return _with_dropped(
        pulled, lock, (_by_registries(each, lock.get(each.name), each.name in about, served, today) for each in pulled)
    )


def by_hosts(
    pulled: Sequence[Pulled],
    lock: Mapping[ModelName, Locked],
    observations: Mapping[HostName, Observation],
    served: Mapping[ModelName, Served],
    today: date,
) -> tuple[Decision, ...]:
    """The decisions by what these hosts hold."""
    return _with_dropped(
        pulled, lock, (_by_hosts(each, lock.get(each.name), observations, served, today) for each in pulled)
    )


def not_in_lock(
    pulled: Iterable[Pulled], lock: Mapping[ModelName, Locked], observations: Mapping[HostName, Observation]
) -> tuple[Pulled, ...]:
    """The models that hosts hold with a content which the file does not explain: registries may know its other form."""
    found = []
    for each in pulled:
        held, before = _held(each.name, observations), lock.get(each.name)
        if held and (before is None or not held.keys() <= before.digests):
            found.append(each)
    return tuple(found)


def _with_dropped(
    pulled: Iterable[Pulled], lock: Mapping[ModelName, Locked], decisions: Iterable[Decision]
) -> tuple[Decision, ...]:
    declared = {each.name for each in pulled}
    gone = (Decision(name, Change.DROPPED, before) for name, before in lock.items() if name not in declared)
    return tuple(sorted((*decisions, *gone), key=lambda decision: decision.name))


def _by_registries(
    pulled: Pulled, before: Locked | None, asked: bool, served: Mapping[ModelName, Served], today: date
) -> Decision:
    if not asked and before is not None:
        return Decision(pulled.name, Change.KEPT, before, before)
    if any(origin not in served for origin in pulled.origins):
        return Decision(pulled.name, Change.ADDED if before is None else Change.MOVED, before)
    images: list[Image] = []
    for origin in pulled.origins:
        found = served[origin]
        if isinstance(found, Unpublished):
            return _failed(pulled, before, found.code, found.message, found.hint)
        images.append(found.image)
    image = images[0]
    if any(other.digests != image.digests for other in images):
        places = " and ".join(f"`{origin}`" for origin in pulled.origins)
        message = f"entries for different hosts pull it from {places}, which serve different contents ({pulled.place})"
        return _failed(pulled, before, Code.MANIFEST_WRONG, message, "pull it from one of them, or pin each entry")
    return _accepted(pulled, before, image.raw, image.normalised, image.size, today)


def _by_hosts(
    pulled: Pulled,
    before: Locked | None,
    observations: Mapping[HostName, Observation],
    served: Mapping[ModelName, Served],
    today: date,
) -> Decision:
    held = _held(pulled.name, observations)
    if not held:
        if before is not None:
            return Decision(pulled.name, Change.KEPT, before, before)
        message = "none of these hosts holds it, and the lock file does not have it"
        return _failed(pulled, before, Code.NOT_LOCKED, message, "lock it by `fleet lock`, which asks its registry")
    if before is not None and held.keys() <= before.digests:
        return _accepted(pulled, before, before.raw, before.normalised, before.size, today)
    for origin in pulled.origins:
        found = served.get(origin)
        if found is not None and not isinstance(found, Unpublished) and held.keys() <= found.image.digests:
            return _accepted(pulled, before, found.image.raw, found.image.normalised, found.image.size, today)
    if len(held) > 1:
        told = "; ".join(f"{digest.short} on {_some(hosts)}" for digest, (hosts, _) in sorted(held.items()))
        return _failed(pulled, before, Code.HOSTS_DISAGREE, f"hosts hold different contents: {told}", _ONE_CONTENT)
    ((digest, (_, size)),) = held.items()
    return _accepted(pulled, before, digest, digest, size, today)


_ONE_CONTENT = (
    "narrow `-l` to hosts that agree, or bring them to one content; servers before 0.19.0 may list the same content"
    " by another digest, which only a registry that still serves it can tell"
)


def _accepted(
    pulled: Pulled, before: Locked | None, raw: Digest, normalised: Digest, size: int, today: date
) -> Decision:
    after = Locked(pulled.name, raw, normalised, size, today)
    if not pulled.pins <= after.digests:
        pin = min(pulled.pins - after.digests)
        message = f"its pin is {pin.short}, and what was found is {raw.short} ({pulled.place})"
        return _failed(pulled, before, Code.PIN_NOT_SERVED, message, "change the pin, if the new content is accepted")
    if before is None:
        return Decision(pulled.name, Change.ADDED, None, after)
    if (before.raw, before.normalised, before.size) == (raw, normalised, size):
        # An unchanged line keeps its day, so that a run without changes changes nothing.
        return Decision(pulled.name, Change.KEPT, before, before)
    return Decision(pulled.name, Change.MOVED, before, after)


def _failed(pulled: Pulled, before: Locked | None, code: Code, message: str, hint: str | None) -> Decision:
    return Decision(pulled.name, Change.FAILED, before, before, code, message, hint)


def _held(
    name: ModelName, observations: Mapping[HostName, Observation]
) -> dict[Digest, tuple[tuple[HostName, ...], int]]:
    """What hosts list under the name: by digest, which hosts and how many bytes. Cloud stubs have no content."""
    found: dict[Digest, tuple[tuple[HostName, ...], int]] = {}
    for host, observation in sorted(observations.items()):
        present = observation.models.get(name) if isinstance(observation, Observed) else None
        if present is not None and not present.remote:
            hosts, _ = found.get(present.digest, ((), 0))
            found[present.digest] = ((*hosts, host), present.size)
    return found


def _some(hosts: Sequence[HostName], most: int = 3) -> str:
    more = f" and {len(hosts) - most} more" if len(hosts) > most else ""
    return ", ".join(hosts[:most]) + more
