"""Guards: what is held back although it was asked for, because a mistake is likelier (`design.md` 5 and 7). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.codes import Code
from fleet.manifest.item import Desired, HostDesired
from fleet.manifest.pattern import matches
from fleet.names import ModelName
from fleet.reconcile.backup import is_backup
from fleet.reconcile.difference import HostDifference, Reason, State
from fleet.reconcile.observed import Observed
from fleet.reconcile.step import Action, Refusal, Step
from fleet.state.remembered import HostRemembered, Remembered

_ENOUGH = 3
"""Of fewer models than this, losing some is everyday life."""


def told(steps: Iterable[Step]) -> tuple[str, ...]:
    """Steps in a few words each, for what a refusal would have done."""
    return tuple(f"{step.action} {step.model} on {step.host} ({step.reason})" for step in steps)


def emptied(
    desired: HostDesired, observed: Observed, before: HostRemembered | None, steps: Sequence[Step], *, accepted: bool
) -> Refusal | None:
    """A host that lost most of its models since it was seen last: its disk may not be mounted."""
    host = desired.host
    if before is None or before.url != host.url or host.ephemeral or accepted or not before.models:
        return None
    seen = {*observed.models, *observed.unreadable, *(one.name for one, _ in observed.collisions)}
    now = {name.key for name in seen}
    lost = before.models - now
    if now and (len(before.models) < _ENOUGH or 2 * len(lost) < len(before.models)):
        return None
    return Refusal(
        Code.HOST_EMPTIED,
        f"`{host.name}` listed {len(before.models)} models when it was seen last, and {len(lost)} of them are gone",
        f"look at the host; if it is meant, say `--accept-emptied {host.name}`",
        host.name,
        told(steps),
    )


def shrunk(desired: Desired, before: Remembered, scope: str, *, accepted: bool) -> str | None:
    """Why the desired state looks as if a part of it were missing, if it does."""
    had = before.items.get(scope, 0)
    if accepted or not had:
        return None
    now = items_of(desired)
    if now == 0:
        return f"the desired state of `{desired.name}` is empty; it had {had} items"
    if 2 * now < had:
        return f"the desired state of `{desired.name}` has {now} items; it had {had}"
    return None


_counted: list[tuple[Desired, int]] = []
"""The last one that was counted, held so that no other can have its identity."""


def items_of(desired: Desired) -> int:
    """How much is said of all hosts together, what must be gone included."""
    if not _counted or _counted[0][0] is not desired:
        # A daemon plans its hosts one at a time, and would count a thousand of them a thousand times.
        _counted[:] = [(desired, sum(len(host.items) + len(host.absent) for host in desired.hosts.values()))]
    return _counted[0][1]


def kept_by_protection(desired: Desired, step: Step) -> bool:
    """Whether a name that an earlier run left is covered by `policy.protect` all the same: somebody uses it by now."""
    left = step.action is Action.DELETE and step.reason is Reason.LEFT_OVER and not is_backup(step.model)
    return left and any(matches(pattern.text, step.model) for pattern in desired.policy.protect)


def takes_away(step: Step) -> bool:
    """Whether the step removes what a manifest says must be gone, or prepares that."""
    return step.action in {Action.DELETE, Action.UNLOAD} and step.reason in {Reason.DECLARED_ABSENT, Reason.IN_MEMORY}


def deletes(
    desired: Desired, host: HostDesired, steps: Sequence[Step], *, limit: int, shrunk_because: str | None
) -> Refusal | None:
    """Why none of the deletes of this host is to be done, if one of them is not."""
    wanted = [step for step in steps if step.action is Action.DELETE and takes_away(step)]
    name = host.host.name
    if not wanted:
        return None
    protected = [step for step in wanted if any(matches(p.text, step.model) for p in desired.policy.protect)]
    if protected:
        names = ", ".join(f"`{step.model}`" for step in protected)
        return Refusal(
            Code.PROTECTED,
            f"`policy.protect` covers {names} on `{name}`; nothing is deleted there",
            "take the pattern away from `policy.protect`, or the `absent` that asks for it",
            name,
            told(wanted),
        )
    if shrunk_because is not None:
        return Refusal(
            Code.DESIRED_SHRANK,
            f"{shrunk_because}; nothing is deleted on `{name}`",
            "if it is meant, say `--accept-shrunk`",
            name,
            told(wanted),
        )
    if len(wanted) > limit:
        return Refusal(
            Code.TOO_MANY_DELETES,
            f"{len(wanted)} models would be deleted on `{name}`, and at most {limit} may be",
            f"read the list; if it is meant, say `--max-deletes {len(wanted)}`",
            name,
            told(wanted),
        )
    return None


def frozen(difference: HostDifference, steps: Sequence[Step]) -> tuple[Refusal | None, frozenset[ModelName]]:
    """Frozen models that differ: the refusal, and all names whose content stays as it is, dependents included."""
    kept = {d.item.name for d in difference.items if d.item.freeze and d.present and d.state is State.DIFFERS}
    if not kept:
        return None, frozenset()
    held = set(kept)
    grew = True
    while grew:
        more = {d.item.name for d in difference.items if d.needs in held and d.state is State.DIFFERS} - held
        grew = bool(more)
        held |= more
    names = ", ".join(f"`{name}`" for name in sorted(kept))
    return (
        Refusal(
            Code.FROZEN,
            f"{names} on `{difference.host}` would be changed, and `freeze` says never; nothing is deleted there either",
            "take `freeze` away to let it be changed",
            difference.host,
            told(step for step in steps if step.model in held or takes_away(step)),
        ),
        frozenset(held),
    )
