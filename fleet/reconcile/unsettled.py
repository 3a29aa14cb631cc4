"""What a host may still be at by itself, and what has to wait for it (`reliability.md` B.4). Pure.

A pull or create that was left (cut off, stalled, interrupted, or its run was killed) may go on in the server. Servers do
not protect the layers of what is unfinished: whatever removes layers meanwhile could take them away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fleet.names import Digest, ModelName
from fleet.reconcile.difference import Reason
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Action, Step
from fleet.state.evidence import Begun, Made

_GOES_ON = frozenset({Action.PULL.value, Action.CREATE.value})
"""A copy is done at once, or not at all."""


def exclusive(step: Step) -> bool:
    """Whether the step may remove layers, or prepares such a one: nothing else may be under way on its host then."""
    match step.action:
        case Action.DELETE | Action.CREATE:
            return True
        case Action.PULL | Action.COPY:
            return step.presumes is not None
        case Action.UNLOAD:
            return step.reason is Reason.IN_MEMORY
        case _:
            return False


def waits_for(
    step: Step, begun: Mapping[ModelName, Begun], models: Mapping[ModelName, Present], at: datetime, wait: float
) -> tuple[ModelName, datetime] | None:
    """What the step has to wait for on its host, which lists `models`, and until when; nothing where it may begin.

    The same pull joins what goes on, and the same create comes to the same: either follows it to its end.
    """
    if not begun or not exclusive(step):
        return None
    left = [
        (ends(each, at, wait), name)
        for name, each in begun.items()
        if _goes_on(each, models.get(name)) and not (name == step.model and each.action == step.action.value)
    ]
    until, name = max(left, default=(at, step.model))
    return (name, until) if until > at else None


def _goes_on(begun: Begun, present: Present | None) -> bool:
    """Whether nothing came of it yet: the name is written last of all."""
    return begun.action in _GOES_ON and begun.former == (present.digest if present is not None else None)


def ends(begun: Begun, at: datetime, wait: float) -> datetime:
    """From when on nothing is expected of it any more. A clock that was set back does not make that longer."""
    return min(begun.since, at) + timedelta(seconds=wait)


def follow_first(steps: Sequence[Step], begun: Mapping[ModelName, Begun]) -> list[Step]:
    """The steps of one host: what was left half-way comes before all else, which may have to wait for it. What such a
    step needs comes before it, and so does what leaves memory for it. Then come aliases that are gone and whose source is
    there, since somebody may ask for them and they take no time; else the order stays.
    """
    by_number = {step.number: step for step in steps}
    first: set[int] = set()
    to_follow = [
        step for step in steps if (left := begun.get(step.model)) is not None and left.action == step.action.value
    ]
    for step in to_follow:
        wanted = [step.number]
        while wanted:
            number = wanted.pop()
            if number not in first and number in by_number:
                first.add(number)
                wanted.extend(by_number[number].needs)
        first |= {
            each.number
            for each in steps
            if each.action is Action.UNLOAD and each.model == step.model and each.number < step.number
        }
    aliases = {step.number for step in steps if step.action is Action.COPY and not step.needs and not step.presumes}
    return sorted(steps, key=lambda step: (step.number not in first, step.number not in aliases, step.number))


def came_of(
    begun: Begun, made: Made | None, now: Digest | None, at: datetime, wait: float, *, whole: bool
) -> Begun | Made | None:
    """What a look shows of what was begun: that it goes on or may, what came of it, or nothing where nothing did.

    `made` is what fleet had put under the name before, `now` what it holds; `whole` tells whether that was shown.
    """
    if now is not None and now != begun.former:
        return with_owner(begun, made, now, at) if whole else begun
    may_go_on = begun.action in _GOES_ON and at < ends(begun, at, wait)
    return begun if may_go_on or (now is not None and not whole) else None


def with_owner(begun: Begun, made: Made | None, now: Digest, at: datetime, undone: int = 0) -> Made:
    """What fleet brought under a name. It is fleet's own if the name was free before, or was fleet's as it had made it."""
    owned = begun.former is None or (made is not None and made.owned and made.digest == begun.former)
    return Made(now, owned, at, undone)
