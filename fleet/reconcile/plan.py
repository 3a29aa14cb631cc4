"""From differences to the ordered steps that remove them (`design.md` 7). Pure: equal input gives an equal plan.

The order on a host: what others are made from first (by depth, then name), each replaced model unloaded just before;
then loads by name; then removals by name, each unloaded before it is deleted. Hosts by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from fleet.codes import Code
from fleet.manifest.item import Alias, Create, Desired, HostDesired
from fleet.names import HostName, ModelName
from fleet.reconcile import guard
from fleet.reconcile.diff import difference, needs
from fleet.reconcile.difference import Difference, HostDifference, Reason, State
from fleet.reconcile.making import inputs_of, inputs_of_load
from fleet.reconcile.observed import Observation, Unobserved
from fleet.reconcile.step import Action, BlockedItem, Plan, Refusal, Step
from fleet.state.remembered import Remembered


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person allowed for this one pass, beyond what the guards let through."""

    max_deletes: int | None = None
    emptied: frozenset[HostName] = frozenset()
    shrunk: bool = False


def plan(
    desired: Desired,
    observations: Mapping[HostName, Observation],
    *,
    fingerprint: str = "",
    remembered: Remembered | None = None,
    scope: str = "",
    allowance: Allowance = Allowance(),
    wanted: Callable[[ModelName], bool] | None = None,
) -> Plan:
    """The plan for the hosts in `observations`. With `wanted`, only steps on those models and on what they need.

    `scope` names what this pass has in common with those before it that its size may be compared with.
    """
    remembered = remembered or Remembered()
    shrunk = guard.shrunk(desired, remembered, scope, accepted=allowance.shrunk)
    refused: list[Refusal] = []
    blocked: list[BlockedItem] = []
    differences: list[HostDifference] = []
    suspended: dict[HostName, str] = {}
    steps: list[Step] = []
    for name in sorted(observations):
        host, observation = desired.hosts[name], observations[name]
        if host.host.suspended is not None:
            suspended[name] = host.host.suspended
        if isinstance(observation, Unobserved):
            differences.append(HostDifference(name, unobserved=observation))
            continue
        before = remembered.hosts.get(name)
        found = difference(host, observation, before.loaded if before and before.url == host.host.url else None)
        found = _narrowed(found, wanted)
        differences.append(found)
        if host.host.suspended is not None:
            continue
        blocked.extend(_blocked(found))
        drafted = _steps(found, len(steps))
        emptied = guard.emptied(host, observation, before, drafted, accepted=name in allowance.emptied)
        if emptied is not None:
            refused.append(emptied)
            continue
        kept, held_back = _guarded(desired, host, found, drafted, allowance, shrunk)
        refused.extend(held_back)
        steps.extend(kept if len(kept) == len(drafted) else _renumbered(kept, len(steps)))
    if shrunk is not None and not any(refusal.code is Code.DESIRED_SHRANK for refusal in refused):
        refused.append(Refusal(Code.DESIRED_SHRANK, shrunk, "if it is meant, say `--accept-shrunk`"))
    return Plan(
        desired.name,
        tuple(steps),
        tuple(differences),
        tuple(blocked),
        tuple(refused),
        suspended,
        fingerprint,
        filtered=wanted is not None or len(observations) < len(desired.hosts),
        observations=observations,
        urls={name: desired.hosts[name].host.url for name in observations},
    )


def _narrowed(found: HostDifference, wanted: Callable[[ModelName], bool] | None) -> HostDifference:
    """Only the wanted items and what they need; the rest of the host was still part of every decision."""
    if wanted is None:
        return found
    by_name = {d.item.name: d for d in found.items}
    kept: set[ModelName] = set()
    for name in by_name:
        current: ModelName | None = name if wanted(name) else None
        while current is not None and current in by_name and current not in kept:
            kept.add(current)
            current = needs(by_name[current].item)
    return replace(
        found,
        items=tuple(d if wanted(d.item.name) else replace(d, warmth=None) for d in found.items if d.item.name in kept),
        removals=tuple(removal for removal in found.removals if wanted(removal.present.name)),
    )


def _blocked(found: HostDifference) -> Iterable[BlockedItem]:
    for item in found.items:
        if item.blocked is not None:
            yield BlockedItem(found.host, item.item.name, item.blocked)
        elif item.warmth is not None and item.warmth.blocked is not None:
            yield BlockedItem(found.host, item.item.name, item.warmth.blocked)
    for removal in found.removals:
        if removal.blocked is not None:
            yield BlockedItem(found.host, removal.present.name, removal.blocked)


def _guarded(
    desired: Desired,
    host: HostDesired,
    found: HostDifference,
    steps: list[Step],
    allowance: Allowance,
    shrunk: str | None,
) -> tuple[list[Step], list[Refusal]]:
    """The steps that no guard of this host holds back, and the refusals of the rest."""
    refused: list[Refusal] = []
    frozen, held = guard.frozen(found, steps)
    if frozen is not None:
        refused.append(frozen)
        # Deletes come only when all that was to be done before them is.
        steps = [step for step in steps if step.model not in held and step.item is not None]
    limit = desired.policy.max_deletes if allowance.max_deletes is None else allowance.max_deletes
    deletes = guard.deletes(desired, host, steps, limit=limit, shrunk_because=shrunk)
    if deletes is not None:
        refused.append(deletes)
        steps = [step for step in steps if step.item is not None]
    return steps, refused


def _steps(found: HostDifference, offset: int) -> list[Step]:
    """The steps of one host, numbered after `offset`."""
    steps: list[Step] = []
    content: dict[ModelName, int] = {}
    released: dict[ModelName, int] = {}

    def add(step: Step) -> int:
        steps.append(step)
        return step.number

    def number() -> int:
        return offset + len(steps) + 1

    for item in _by_depth(found):
        if item.warmth is not None and item.warmth.state is State.DIFFERS and item.warmth.release_first is not None:
            released[item.item.name] = add(_unload(number(), found.host, item, item.warmth.release_first))
        if item.state is State.DIFFERS:
            content[item.item.name] = add(_content(number(), found.host, item, content))
    for item in found.items:
        if item.warmth is not None and item.warmth.state is State.DIFFERS and item.state is not State.BLOCKED:
            name = item.item.name
            before = tuple(sorted(n for n in (content.get(name), released.get(name)) if n is not None))
            add(_load(number(), found.host, item, before, content.get(name)))
    others = tuple(step.number for step in steps)
    for removal in found.removals:
        if removal.blocked is not None:
            continue
        present, unload = removal.present, None
        if removal.unload:
            unload = add(
                Step(
                    number(), found.host, present.name, present.listed, Action.UNLOAD, Reason.IN_MEMORY,
                    old=present.digest, new=present.digest, bytes_in=0, presumes=present.digest, needs=others,
                )
            )  # fmt: skip
        add(
            Step(
                number(), found.host, present.name, present.listed, Action.DELETE, Reason.DECLARED_ABSENT,
                old=present.digest, bytes_in=0, bytes_freed=present.size, presumes=present.digest,
                needs=others if unload is None else (*others, unload),
            )
        )  # fmt: skip
    return steps


def _by_depth(found: HostDifference) -> list[Difference]:
    by_name = {d.item.name: d for d in found.items}

    def depth(item: Difference) -> int:
        count, needed = 0, needs(item.item)
        while needed is not None and needed in by_name:
            count, needed = count + 1, needs(by_name[needed].item)
        return count

    return sorted(found.items, key=lambda d: (depth(d), d.item.name.key))


def _content(number: int, host: HostName, item: Difference, content: Mapping[ModelName, int]) -> Step:
    """Pull, create or copy: what brings the item's content."""
    source = item.item.source
    old = item.present.digest if item.present else None
    listed = item.present.listed if item.present else str(item.item.name)
    reason = item.reason or Reason.MISSING
    before = content.get(item.needs) if item.needs is not None else None
    action = Action.CREATE if isinstance(source, Create) else Action.COPY if isinstance(source, Alias) else Action.PULL
    # A copy's content is its source's, known now or after the step that brings that; others tell once they are there.
    return Step(
        number, host, item.item.name, listed, action, reason, old=old,
        new=item.wants if action is Action.COPY else None, new_after=before if action is Action.COPY else number,
        bytes_in=None if action is Action.PULL else 0, presumes=old, needs=() if before is None else (before,),
        changes=item.changes, source=item.needs, item=item.item,
        inputs=inputs_of(source) if isinstance(source, Create) else None,
    )  # fmt: skip


def _unload(number: int, host: HostName, item: Difference, listed: str) -> Step:
    digest = item.present.digest if item.present else None
    return Step(
        number, host, item.item.name, listed, Action.UNLOAD, Reason.OLD_CONTENT_WARM,
        old=digest, new=digest, bytes_in=0, presumes=digest, item=item.item,
    )  # fmt: skip


def _load(number: int, host: HostName, item: Difference, before: tuple[int, ...], content: int | None) -> Step:
    warmth = item.warmth
    warm = warmth.kept if warmth and warmth.kept else item.item.warm
    digest = item.present.digest if item.present else None
    return Step(
        number, host, item.item.name, item.present.listed if item.present else str(item.item.name), Action.LOAD,
        (warmth.reason if warmth else None) or Reason.NOT_WARM,
        old=digest, new=digest if content is None else None, new_after=content, bytes_in=0,
        presumes=digest if content is None else None, needs=before,
        changes=warmth.changes if warmth else (), item=replace(item.item, warm=warm), inputs=inputs_of_load(warm) if warm else None,
    )  # fmt: skip


def restricted(whole: Plan, kept: Callable[[Step], bool]) -> Plan:
    """The plan with some of its steps alone, numbered anew."""
    steps = tuple(_renumbered([step for step in whole.steps if kept(step)], 0))
    return replace(whole, steps=steps, filtered=whole.filtered or len(steps) < len(whole.steps))


def _renumbered(steps: list[Step], offset: int) -> list[Step]:
    """Numbers without gaps, after guards took some away; what needed those needs them no longer."""
    numbers = {step.number: offset + position for position, step in enumerate(steps, 1)}
    return [
        replace(
            step,
            number=numbers[step.number],
            new_after=numbers.get(step.new_after) if step.new_after else None,
            needs=tuple(numbers[number] for number in step.needs if number in numbers),
        )
        for step in steps
    ]
