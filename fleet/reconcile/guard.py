"""Guards: what is held back although it was asked for, because a mistake is likelier (`design.md` 5 and 7). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.codes import Code
from fleet.manifest.inventory import Prune
from fleet.manifest.item import Desired, HostDesired
from fleet.manifest.pattern import matches
from fleet.names import HostName, ModelName
from fleet.reconcile.backup import is_backup
from fleet.reconcile.difference import HostDifference, Reason, State
from fleet.reconcile.observed import Observed
from fleet.reconcile.prune import PRUNED
from fleet.reconcile.step import Action, Refusal, Step
from fleet.state.remembered import HostRemembered, Remembered

_TAKES_AWAY = PRUNED | {Reason.DECLARED_ABSENT, Reason.IN_MEMORY}
HOLDS_ALL = frozenset({Code.HOST_EMPTIED, Code.MARKER_MISSING})
"""Guards that hold back all of a host, since it may be another machine or lack a disk: what it shows proves nothing."""
_REPLACES = frozenset({Action.PULL, Action.CREATE, Action.COPY})

_ENOUGH = 3
"""Of fewer models than this, losing some is everyday life."""


def told(steps: Iterable[Step]) -> tuple[str, ...]:
    """Steps in a few words each, for what a refusal would have done."""
    return tuple(would_do(step.action, str(step.model), step.host, step.reason) for step in steps)


def would_do(action: str, model: str, host: str, reason: str) -> str:
    """One step that is not done, in a few words."""
    return f"{action} {model} on {host} ({reason})"


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
    if accepted:
        return None
    had, now = before.items.get(scope, 0), items_of(desired)
    if not had:
        return None
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


def other_sources(before: Remembered, scope: str, sources: str, *, accepted: bool) -> str | None:
    """Why what nobody declares here may be declared elsewhere, if so: only who says everything may prune."""
    if accepted:
        return None
    if any(before.sources.get(other) != sources for other in before.items.keys() - {scope}):
        return "other manifests were applied under the same `name` as well"
    if scope not in before.sources:
        return "no earlier pass of these manifests is remembered"
    if before.sources[scope] != sources:
        return "`-f` and `-i` name other manifests than in the last pass"
    return None


def never_seen(host: HostDesired, before: HostRemembered | None) -> bool:
    """Whether what nobody declares would go at the first sight of a machine. `before` is what is remembered of it at its
    address; a run that was killed may have recorded something there before any look was.
    """
    return host.prune is Prune.UNDECLARED and (before is None or not before.models)


def unpruned(
    host: HostName, steps: Sequence[Step], other: str | None, *, filtered: bool, new: bool = False
) -> Refusal | None:
    """Why nothing is deleted on a host that nobody declares, if so: `other` as `other_sources` tells it, `new` as
    `never_seen` does.
    """
    wanted = [step for step in steps if prunes(step)]
    if not wanted or (other is None and not filtered and not new):
        return None
    number = f"{len(wanted)} models" if len(wanted) > 1 else "1 model"
    if filtered:
        return Refusal(
            Code.FILTERED,
            f"{number} on `{host}` would be deleted because nobody declares them, and nothing is pruned under a filter",
            "run once without `--host`, `-l` and `--model`, or name them `absent: true`",
            host,
            told(wanted),
        )
    if other is None:
        return Refusal(
            Code.HOST_NEW,
            f"no earlier look at `{host}` at this address is remembered, so nothing is deleted there that nobody declares:"
            f" {number}",
            "look at the list; the next pass deletes it",
            host,
            told(wanted),
        )
    return Refusal(
        Code.SOURCES_CHANGED,
        f"{other}, so nothing is deleted on `{host}` that nobody declares: {number}",
        "name all manifests; if these are all there are from now on, say `--accept-sources`",
        host,
        told(wanted),
    )


def bereaved(desired: Desired, host: HostDesired, observed: Observed, steps: Sequence[Step]) -> frozenset[ModelName]:
    """Names whose delete would take the last name from a content that a protected name holds now: that one is replaced
    in the same plan.
    """
    gone = {step.model for step in steps if step.action is Action.DELETE}
    if not gone:
        return frozenset()
    protected = {item.name for item in host.items if item.protect}
    patterns = [pattern.text for pattern in desired.policy.protect]
    held = {
        present.digest
        for name, present in observed.models.items()
        if name in protected or any(matches(pattern, name) for pattern in patterns)
    }
    if not held:
        return frozenset()
    moved = gone | {step.model for step in steps if step.action in _REPLACES and step.old is not None}
    stays = {present.digest for name, present in observed.models.items() if name not in moved}
    return frozenset(
        step.model for step in steps if step.action is Action.DELETE and step.old in held and step.old not in stays
    )


def kept_by_protection(desired: Desired, step: Step) -> bool:
    """Whether a name that an earlier run left is covered by `policy.protect` all the same: somebody uses it by now."""
    left = step.action is Action.DELETE and step.reason is Reason.LEFT_OVER and not is_backup(step.model)
    return left and any(matches(pattern.text, step.model) for pattern in desired.policy.protect)


def takes_away(step: Step) -> bool:
    """Whether the step removes what must be gone, or what nobody declares, or prepares that."""
    return step.action in {Action.DELETE, Action.UNLOAD} and step.reason in _TAKES_AWAY


def prunes(step: Step) -> bool:
    """Whether the step removes what nobody declares."""
    return step.action is Action.DELETE and step.reason in PRUNED


def bared(host: HostDesired, before: HostRemembered | None, steps: Sequence[Step]) -> str | None:
    """Why a host looks as if what was declared for it were missing, if it does: nothing is declared any more, or less than
    half of what is and of what fleet put there and would prune. A label typed wrongly does that to one host of many.
    """
    pruned = [step for step in steps if prunes(step)]
    if not pruned:
        return None
    if not host.items:
        return f"nothing is declared for `{host.host.name}`"
    made = before.made if before is not None else {}
    left, lost = len(host.items), sum(step.model in made for step in pruned)
    if lost < _ENOUGH or left >= lost:
        return None
    return f"{left} models are declared for `{host.host.name}`, and {lost} that fleet put there are no more"


def deletes(
    desired: Desired,
    host: HostDesired,
    steps: Sequence[Step],
    *,
    limit: int,
    shrunk_because: str | None,
    bared_because: str | None = None,
    bereaved: frozenset[ModelName] = frozenset(),
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
    lost = [step for step in wanted if step.model in bereaved]
    if lost:
        names = ", ".join(f"`{step.model}`" for step in lost)
        return Refusal(
            Code.PROTECTED,
            f"{names} on `{name}` would be the last to hold what a protected model holds now, which this plan replaces;"
            " nothing is deleted there",
            "apply the replacement first, by `--model`, and look at it; then run again",
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
    if bared_because is not None:
        return Refusal(
            Code.DESIRED_SHRANK,
            f"{bared_because}; nothing is deleted there",
            "look at the labels of the host; if it is meant, say `--accept-shrunk`, or name what is to go `absent: true`",
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
