"""From what a pass saw and could not do to the condition of every item: what the page, metrics and `status` tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.codes import Code
from fleet.daemon.status import (
    WORST,
    Condition,
    FleetStatus,
    HostStatus,
    InMemory,
    ItemStatus,
    Kind,
    Moving,
    SourceState,
    SourceStatus,
)
from fleet.daemon.waiting import LOOK, class_of, counts, needs_person
from fleet.foreign import clean
from fleet.manifest.item import Desired, HostDesired
from fleet.names import ModelName
from fleet.reconcile.difference import Change, Difference, Reason, Removal, State
from fleet.reconcile.observed import Observation, Observed, Unobserved
from fleet.reconcile.report import Failure, Report
from fleet.reconcile.step import Plan, Refusal
from fleet.reconcile.warm import runner_of
from fleet.render.held_back import held_back, refusal_text
from fleet.render.words import STANDS, offloaded
from fleet.state.attempts import Attempt

AS_DESIRED = "as-desired"
NOT_OBSERVED = "not-observed"
HELD_BACK = "held-back"
SUSPENDED = "suspended"
BLOCKED = "blocked"
UNVERIFIED = "unverified"
OFFLOADED = "degraded-offload"
TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a host besides its plan."""

    now: datetime
    failed: Mapping[tuple[str, str], Attempt] = field(default_factory=dict)
    """By model as text (empty: the host itself) and action."""
    next_tries: Mapping[tuple[str, str], datetime | None] = field(default_factory=dict)
    busy_since: datetime | None = None


def host_status(
    desired: HostDesired,
    plan: Plan,
    observation: Observation,
    former: HostStatus | None,
    circumstances: Circumstances,
) -> HostStatus:
    """How a host stands. `plan` is what would be planned from `observation`; of other hosts in it nothing is taken.

    `former` is how it stood before: what did not change keeps its age.
    """
    host, now = desired.host, circumstances.now
    before = {item.model: item for item in former.items} if former is not None else {}
    if isinstance(observation, Unobserved):
        items = tuple(_unseen(item.name, before.get(item.name), now) for item in desired.items)
    else:
        items = _items(desired, plan, before, circumstances)
    status = HostStatus(
        host.name,
        Condition.READY,
        AS_DESIRED,
        now,
        url=host.url,
        labels=host.labels,
        vram=host.capacity.vram,
        busy_since=circumstances.busy_since,
        message=clean(host.suspended or ""),
        items=items,
        refusals=tuple(refusal_text(refusal) for refusal in plan.refused if refusal.host == host.name),
    )
    status = _observed(status, desired, observation, former, circumstances)
    condition, reason = _of_host(status, host.suspended, observation)
    same = former is not None and (former.condition, former.reason, former.code) == (condition, reason, status.code)
    return replace(
        status,
        condition=condition,
        reason=reason,
        since=former.since if former is not None and same else now,
        converged=now if condition is Condition.READY else (former.converged if former is not None else None),
    )


def with_moving(status: HostStatus, moving: Mapping[ModelName, Moving], busy_since: datetime | None) -> HostStatus:
    """The same while a pass works on the host."""
    items = tuple(
        replace(item, moving=moving.get(item.model)) if item.moving != moving.get(item.model) else item
        for item in status.items
    )
    return replace(status, items=items, busy_since=busy_since)


def _observed(
    status: HostStatus,
    desired: HostDesired,
    observation: Observation,
    former: HostStatus | None,
    circumstances: Circumstances,
) -> HostStatus:
    if isinstance(observation, Observed):
        memory = _memory(desired, observation)
        return replace(status, version=str(observation.version), seen=observation.at, memory=memory)
    return replace(
        status,
        code=observation.code,
        message=clean(observation.message),
        version=former.version if former is not None else "",
        seen=former.seen if former is not None else None,
        next_try=circumstances.next_tries.get(("", LOOK)),
    )


def _of_host(status: HostStatus, suspended: str | None, observation: Observation) -> tuple[Condition, str]:
    if suspended is not None:
        return Condition.SUSPENDED, SUSPENDED
    if isinstance(observation, Unobserved):
        return Condition.UNKNOWN, NOT_OBSERVED
    if status.refusals:
        return Condition.STALLED, HELD_BACK
    found = {item.condition: item for item in reversed(status.items)}
    for condition in WORST:
        if condition in found:
            return condition, found[condition].reason if condition is not Condition.READY else AS_DESIRED
    return Condition.READY, AS_DESIRED


def _items(
    desired: HostDesired,
    plan: Plan,
    before: Mapping[ModelName, ItemStatus],
    circumstances: Circumstances,
) -> tuple[ItemStatus, ...]:
    host, held = desired.host, held_back(plan)
    found = next(each for each in plan.hosts if each.host == host.name)
    judged = [_item(each, held.get((host.name, each.item.name)), circumstances) for each in found.items]
    judged += [_removal(each, held.get((host.name, each.present.name)), circumstances) for each in found.removals]
    return tuple(
        _aged(item, before.get(item.model), suspended=host.suspended)
        for item in sorted(judged, key=lambda item: item.model)
    )


def _aged(item: ItemStatus, former: ItemStatus | None, *, suspended: str | None) -> ItemStatus:
    if suspended is not None and item.condition is not Condition.READY:
        item = replace(item, condition=Condition.SUSPENDED, next_try=None)
    same = former is not None and (former.condition, former.reason, former.code) == (
        item.condition,
        item.reason,
        item.code,
    )
    return replace(item, since=former.since) if former is not None and same else item


def _unseen(name: ModelName, former: ItemStatus | None, now: datetime) -> ItemStatus:
    if former is not None and former.condition is Condition.UNKNOWN:
        return former
    return ItemStatus(name, Condition.UNKNOWN, NOT_OBSERVED, now)


def _item(difference: Difference, refusal: Refusal | None, circumstances: Circumstances) -> ItemStatus:
    name, present, now = difference.item.name, difference.present, circumstances.now
    condition, reason, message, code = _stands(difference)
    changes = difference.changes or (difference.warmth.changes if difference.warmth is not None else ())
    item = ItemStatus(
        name,
        condition,
        reason,
        now,
        message=message,
        code=code,
        changes=tuple(_change(change) for change in changes),
        memory=_in_memory(difference),
        digest=present.digest if present is not None else None,
        size=present.size if present is not None else None,
    )
    if condition is Condition.PROGRESSING:
        item = _after_failure(item, circumstances)
    return item if refusal is None else _held(item, refusal)


def _removal(removal: Removal, refusal: Refusal | None, circumstances: Circumstances) -> ItemStatus:
    present = removal.present
    item = ItemStatus(
        present.name,
        Condition.PROGRESSING,
        str(removal.reason),
        circumstances.now,
        kind=Kind.REMOVAL,
        digest=present.digest,
        size=present.size,
    )
    if removal.blocked is not None:
        message, code = clean(removal.blocked.message), removal.blocked.code
        return replace(item, condition=Condition.BLOCKED, reason=BLOCKED, message=message, code=code)
    item = _after_failure(item, circumstances)
    return item if refusal is None else _held(item, refusal)


def _stands(difference: Difference) -> tuple[Condition, str, str, Code | None]:
    """Condition, reason, words and code, without what was tried so far."""
    for part in (difference, difference.warmth):
        if part is None:
            continue
        if part.blocked is not None:
            return Condition.BLOCKED, BLOCKED, clean(part.blocked.message), part.blocked.code
        if part.state is State.DIFFERS and part.reason is not None:
            return Condition.PROGRESSING, str(part.reason), STANDS[part.reason], None
    if difference.trouble is not None:
        trouble = difference.trouble
        waits = trouble.code.retry == "later"
        condition = Condition.PROGRESSING if waits else Condition.STALLED
        return condition, TROUBLE, clean(trouble.message), trouble.code
    if difference.unchecked:
        return Condition.PROGRESSING, str(Reason.NOT_CHECKED), STANDS[Reason.NOT_CHECKED], None
    if difference.publish is not None:
        return Condition.PROGRESSING, str(difference.publish), STANDS[difference.publish], None
    if difference.state is State.UNVERIFIED:
        return Condition.READY, UNVERIFIED, Code.UNVERIFIED.title, Code.UNVERIFIED
    if difference.warmth is not None and difference.warmth.offloaded:
        return Condition.READY, OFFLOADED, offloaded(difference.warmth), Code.OFFLOADED
    return Condition.READY, AS_DESIRED, "", None


def _after_failure(item: ItemStatus, circumstances: Circumstances) -> ItemStatus:
    """With what came of trying: the worst of what failed on the item."""
    failed = {key: attempt for key, attempt in circumstances.failed.items() if key[0] == str(item.model)}
    if not failed:
        return item
    key, attempt = max(failed.items(), key=lambda each: (needs_person(each[1].retry_class), each[1].last))
    code = next((code for code in Code if code.id == attempt.code), None)
    return replace(
        item,
        condition=Condition.STALLED if needs_person(attempt.retry_class) else Condition.PROGRESSING,
        message=clean(attempt.message),
        code=code,
        next_try=circumstances.next_tries.get(key),
        tries=attempt.tries,
    )


def _held(item: ItemStatus, refusal: Refusal) -> ItemStatus:
    return replace(
        item, condition=Condition.STALLED, reason=HELD_BACK, message=clean(refusal.code.title), code=refusal.code
    )


def _change(change: Change) -> str:
    """A field and, where it is no text of people, what it was and is to be."""
    if change.sensitive:
        return change.field
    return clean(f"{change.field}: {change.old or 'nothing'} → {change.new or 'nothing'}")


def _in_memory(difference: Difference) -> str:
    warmth = difference.warmth
    if warmth is None:
        return ""
    if warmth.state is State.BLOCKED:
        return "blocked"
    return "warm" if warmth.state is State.AS_DESIRED else "not warm"


def _memory(desired: HostDesired, observed: Observed) -> tuple[InMemory, ...]:
    wanted = {runner_of(item.name, observed) for item in desired.items if item.warm is not None}
    return tuple(
        InMemory(clean(runner.listed), runner.size, runner.size_vram, runner.expires_at, runner in wanted)
        for runner in observed.runners
    )


def statuses_of_report(
    report: Report, desired: Desired, now: datetime, version: str = ""
) -> tuple[FleetStatus, tuple[HostStatus, ...]]:
    """How everything stands after a pass that ran by itself, for its metrics: nothing of it is tried again."""
    after = report.after
    unseen = {each.host: each for each in report.unobserved}
    hosts = []
    for found in after.hosts:
        observation = unseen.get(found.host) or after.observations.get(found.host)
        if observation is None:
            continue
        failed = {
            (str(failure.model), str(failure.action)): _attempt(failure, now)
            for failure in report.failures
            if failure.host == found.host and counts(failure)
        }
        hosts.append(host_status(desired.hosts[found.host], after, observation, None, Circumstances(now, failed)))
    fleet = FleetStatus(
        desired.name,
        now,
        now,
        version,
        SourceStatus(SourceState.GOOD, "the command line", report.plan.fingerprint, now),
        0.0,
        None,
        last_success=now if report.interrupted is None else None,
        refusals=tuple(refusal_text(refusal) for refusal in report.plan.refused if refusal.host is None),
        notes=report.notes,
    )
    return fleet, tuple(hosts)


def _attempt(failure: Failure, now: datetime) -> Attempt:
    action = str(failure.action) if failure.action is not None else ""
    kind = class_of(failure.code, failure.action)
    return Attempt(
        failure.host, str(failure.model), action, kind, 1, now, now, now, "", failure.code.id, failure.message
    )
