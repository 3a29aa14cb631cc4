"""What a host may still be at by itself, and what has to wait for it (`reliability.md` B.4). Pure.

A pull or create that was left (cut off, stalled, interrupted, or its run was killed) may go on in the server. Servers do
not protect the layers of what is unfinished: whatever removes layers meanwhile could take them away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.names import Digest, ModelName
from fleet.reconcile.difference import Reason
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Action, Step
from fleet.state.evidence import Begun, Made

BROKEN = "broken"
"""Stands for an action in the mark of a model that is listed and not whole. Nothing is under way, but no listing tells."""
_GOES_ON = frozenset({Action.PULL.value, Action.CREATE.value})
"""A copy is done at once, or not at all."""
_KEPT = timedelta(days=1)
"""For how long it is remembered of what is declared that it did not come, beyond the time in which it still may."""


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
    step: Step,
    begun: Mapping[ModelName, Begun],
    models: Mapping[ModelName, Present],
    at: datetime,
    wait: float,
    followed: Collection[ModelName] = (),
) -> tuple[ModelName, datetime] | None:
    """What the step has to wait for on its host, which lists `models`, and until when; nothing where it may begin.

    The same pull joins what goes on, and the same create comes to the same: either follows it to its end. Those of
    `followed` do not wait for each other: none of them would ever begin.
    """
    alone = exclusive(step)
    if not begun or not (alone or step.action is Action.PULL):
        return None
    others = followed if step.model in followed else ()
    left = [
        (ends(each, at, wait), name)
        for name, each in begun.items()
        if (alone or _removes(each))
        and _goes_on(each, models.get(name))
        and not (_follows(step, each) if name == step.model else name in others)
    ]
    until, name = max(left, default=(at, step.model))
    return (name, until) if until > at else None


def under_way(
    begun: Mapping[ModelName, Begun],
    models: Mapping[ModelName, Present],
    at: datetime,
    wait: float,
    but: ModelName | None = None,
) -> bool:
    """Whether the host, which lists `models`, may be at something by itself, `but` for one name."""
    return any(
        name != but and _goes_on(each, models.get(name)) and ends(each, at, wait) > at for name, each in begun.items()
    )


def _removes(begun: Begun) -> bool:
    """Whether layers go where it comes to its end: a download beside it could count on them."""
    return begun.action == Action.CREATE.value or begun.former is not None


def _goes_on(begun: Begun, present: Present | None) -> bool:
    """Whether nothing came of it yet: the name is written last of all."""
    return begun.action in _GOES_ON and begun.former == (present.digest if present is not None else None)


def _follows(step: Step, begun: Begun | None) -> bool:
    return begun is not None and begun.action == step.action.value


def ends(begun: Begun, at: datetime, wait: float) -> datetime:
    """From when on nothing is expected of it any more. What a clock wrote that was set back since may have begun just now,
    until a look writes it anew (`came_of`).
    """
    return min(begun.since, at) + timedelta(seconds=wait)


def opening(action: Action, former: Digest | None, earlier: Begun | None, at: datetime, wait: float) -> Begun:
    """The mark of a step that begins now, when its name holds `former`. `earlier` is the mark that is there.

    What the name held before the first of several tries counts as long as something may come of that one.
    """
    if earlier is None or not _counts(earlier, at, wait):
        return Begun(action.value, former, at)
    return Begun(action.value, earlier.former, at, again=earlier.again and earlier.action == action.value)


def follows(action: Action, earlier: Begun | None, at: datetime, wait: float) -> bool:
    """Whether a step that begins now takes up what was left. It had its turn then, if it is left once more; a run that is
    killed takes it from it.
    """
    return earlier is not None and earlier.action == action.value and _counts(earlier, at, wait)


def _counts(earlier: Begun, at: datetime, wait: float) -> bool:
    return earlier.action != BROKEN and at < ends(earlier, at, wait)


@dataclass(frozen=True, slots=True)
class Turns:
    """In which order the steps of one host are carried out, when something was left there."""

    steps: Sequence[Step]
    followed: frozenset[ModelName] = frozenset()
    """What was left lately, and is followed to its end before all else."""
    last: frozenset[int] = frozenset()
    """Steps that were left before, and come after all that needs the host to itself: by number. One that always hangs
    would keep the others from it for ever.
    """


def turns(steps: Sequence[Step], begun: Mapping[ModelName, Begun], at: datetime, wait: float) -> Turns:
    """The steps of one host: what was left half-way comes before all else, which may have to wait for it. What such a
    step needs comes before it, and so does what leaves memory for it. Then come aliases that are gone and whose source is
    there, since somebody may ask for them and they take no time; else the order stays.

    What was followed already and left once more, or left so long ago that nothing waits for it, comes last instead, with
    what needs it: that which was left longest ago before the others.
    """
    if not begun:
        return Turns(sorted(steps, key=lambda step: (not _at_once(step), step.number)))
    left = [step for step in steps if _follows(step, begun.get(step.model))]
    followed = [step for step in left if not _had_its_turn(begun[step.model], at, wait)]
    last = sorted((step for step in left if step not in followed), key=lambda step: begun[step.model].since)
    # What removes nothing has nothing to wait for.
    followed.sort(key=exclusive)
    first = _with_needs(followed, steps)
    late = [step.number for step in last if step.number not in first]
    behind = _with_what_needs(late, steps) - set(first)
    places = {number: place for place, number in enumerate(first)}
    ends_with = {number: place for place, number in enumerate(late)}

    def place(step: Step) -> tuple[int, int, int]:
        number = step.number
        if number in places:
            return (0, places[number], 0)
        if number in behind:
            return (3, ends_with.get(number, len(late)), number)
        return (1 if _at_once(step) else 2, number, 0)

    return Turns(sorted(steps, key=place), frozenset(step.model for step in followed), frozenset(late))


def _had_its_turn(begun: Begun, at: datetime, wait: float) -> bool:
    return begun.action in _GOES_ON and (begun.again or at >= ends(begun, at, wait))


def _at_once(step: Step) -> bool:
    return step.action is Action.COPY and not step.needs and not step.presumes


def _with_needs(chosen: Iterable[Step], steps: Sequence[Step]) -> list[int]:
    """The numbers of these steps, each after what it needs and what leaves memory for it."""
    by_number = {step.number: step for step in steps}
    found: dict[int, None] = {}

    def put(step: Step) -> None:
        before = [by_number[number] for number in step.needs if number in by_number]
        before += [
            each
            for each in steps
            if each.action is Action.UNLOAD and each.model == step.model and each.number < step.number
        ]
        for each in before:
            if each.number not in found:
                put(each)
        found[step.number] = None

    for step in chosen:
        put(step)
    return list(found)


def _with_what_needs(numbers: Collection[int], steps: Sequence[Step]) -> set[int]:
    """These steps, with what leaves memory for them, and all that needs one of them, by whatever way."""
    found = set(numbers)
    models = {step.model: step.number for step in steps if step.number in found}
    found |= {
        step.number
        for step in steps
        if step.action is Action.UNLOAD and step.number < models.get(step.model, step.number)
    }
    # Steps stand after what they need.
    for step in sorted(steps, key=lambda step: step.number):
        if found.intersection(step.needs):
            found.add(step.number)
    return found


def came_of(
    begun: Begun, made: Made | None, now: Digest | None, at: datetime, wait: float, *, whole: bool, declared: bool
) -> Begun | Made | None:
    """What a look shows of what was begun: that it goes on or may, what came of it, or nothing where nothing did.

    `made` is what fleet had put under the name before, `now` what it holds; `whole` tells whether that was shown. What is
    `declared` and did not come is remembered for a while: it comes last from then on (`turns`). What comes when nothing
    was expected any more is somebody else's.
    """
    if now is not None and not whole:
        return begun
    ahead = begun.since - at > timedelta(seconds=wait)
    if begun.since > at:
        begun = replace(begun, since=at)
    may_come = at < ends(begun, at, wait)
    if now is not None and now != begun.former:
        return with_owner(begun, made, now, at) if may_come and not ahead and begun.action != BROKEN else None
    if begun.action not in _GOES_ON:
        return None
    return begun if may_come or (declared and abs(at - begun.since) <= _KEPT) else None


def with_owner(begun: Begun, made: Made | None, now: Digest, at: datetime, undone: int = 0) -> Made:
    """What fleet brought under a name. It is fleet's own if the name was free before, or was fleet's as it had made it."""
    owned = begun.former is None or (made is not None and made.owned and made.digest == begun.former)
    return Made(now, owned, at, undone)
