"""From differences to the ordered steps that remove them (`design.md` 7). Pure: equal input gives an equal plan.

The order on a host: what others are made from first (by depth, then name), each replaced model unloaded just before,
each upload before its create, each check after what it asks about; then pushes by name, releases by name, loads by
name; then what earlier runs left; then removals by name, each unloaded before it is deleted. Hosts by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleet.codes import Code
from fleet.manifest.item import Alias, Create, Desired, HostDesired, Pull
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile import guard
from fleet.reconcile.checks.verdict import questions_of
from fleet.reconcile.diff import difference, needs
from fleet.reconcile.difference import Difference, HostDifference, LocalBlob, Reason, Removal, State, Warmth
from fleet.reconcile.identity import unmarked
from fleet.reconcile.inputs import fingerprint as inputs_fingerprint
from fleet.reconcile.known import Known
from fleet.reconcile.making import inputs_of_load
from fleet.reconcile.observed import Observation, Present, Unobserved
from fleet.reconcile.publishing import publishing
from fleet.reconcile.step import Action, BlockedItem, Plan, Refusal, Step
from fleet.state.remembered import HostRemembered, Remembered


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person allowed for this one pass, beyond what the guards let through."""

    max_deletes: int | None = None
    emptied: frozenset[HostName] = frozenset()
    shrunk: bool = False
    sources: bool = False
    foreign: frozenset[HostName] = frozenset()
    """Hosts on which what somebody else keeps changing is made again."""


def plan(
    desired: Desired,
    observations: Mapping[HostName, Observation],
    *,
    fingerprint: str = "",
    remembered: Remembered | None = None,
    scope: str = "",
    sources: str = "",
    allowance: Allowance = Allowance(),
    wanted: Callable[[ModelName], bool] | None = None,
    known: Known = Known(),
    apart: Mapping[HostName, Observation] | None = None,
) -> Plan:
    """The plan for the hosts in `observations`. With `wanted`, only steps on those models and on what they need. With
    `apart` all others are planned for by themselves, and this is what is known of them.

    `scope` names what this pass has in common with those before it that its size may be compared with; `sources` are the
    manifests that it was read from, as `sources_of` tells them.
    """
    remembered = remembered or Remembered()
    shrunk = guard.shrunk(desired, remembered, scope, accepted=allowance.shrunk)
    other = guard.other_sources(remembered, scope, sources, accepted=allowance.sources)
    filtered = wanted is not None or (apart is None and len(observations) < len(desired.hosts))
    refused: list[Refusal] = []
    blocked: list[BlockedItem] = []
    differences: list[HostDifference] = []
    suspended: dict[HostName, str] = {}
    steps: list[Step] = []
    # What other manifests of the same name warmed is theirs.
    alone = not remembered.items.keys() - {scope}
    to_push = publishing(desired, {**(apart or {}), **observations}, remembered, known)
    for name in sorted(observations):
        host, observation = desired.hosts[name], observations[name]
        if host.host.suspended is not None:
            suspended[name] = host.host.suspended
        if isinstance(observation, Unobserved):
            differences.append(HostDifference(name, unobserved=observation))
            continue
        before = remembered.hosts.get(name)
        own = before if before is not None and before.url == host.host.url else None
        found = difference(
            host, observation, own, known, to_push.get(name), alone=alone, protect=desired.policy.protect
        )
        found = _narrowed(found, wanted)
        differences.append(found)
        if host.host.suspended is not None:
            continue
        blocked.extend(_blocked(found))
        drafted = _steps(found, len(steps))
        emptied = unmarked(host.host, observation, drafted)
        emptied = emptied or guard.emptied(host, observation, before, drafted, accepted=name in allowance.emptied)
        if emptied is not None:
            refused.append(emptied)
            continue
        new = guard.never_seen(host, own)
        unpruned = guard.unpruned(name, drafted, other, filtered=filtered, new=new)
        if unpruned is not None:
            refused.append(unpruned)
            drafted = _steps(replace(found, removals=_asked_for(found)), len(steps))
        last = guard.bereaved(desired, host, observation, drafted)
        whole = len(drafted)
        drafted = [
            step
            for step in drafted
            if not guard.kept_by_protection(desired, step)
            and not (step.reason is Reason.LEFT_OVER and step.model in last)
        ]
        kept, held_back = _guarded(desired, host, found, drafted, allowance, shrunk, last, own)
        refused.extend(held_back)
        steps.extend(kept if len(kept) == whole else _renumbered(kept, len(steps)))
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
        filtered=filtered,
        observations=observations,
        known=known,
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
        items=tuple(
            d if wanted(d.item.name) else replace(d, warmth=None, publish=None)
            for d in found.items
            if d.item.name in kept
        ),
        removals=tuple(removal for removal in found.removals if wanted(removal.present.name)),
        leftovers=tuple(left for left in found.leftovers if wanted(left.present.name)),
        releases=tuple(release for release in found.releases if wanted(release.present.name)),
    )


def _blocked(found: HostDifference) -> Iterable[BlockedItem]:
    for item in found.items:
        if item.trouble is not None:
            yield BlockedItem(found.host, item.item.name, item.trouble)
        if item.blocked is not None:
            yield BlockedItem(found.host, item.item.name, item.blocked)
        elif item.warmth is not None and item.warmth.blocked is not None:
            yield BlockedItem(found.host, item.item.name, item.warmth.blocked)
    for removal in found.removals:
        if removal.blocked is not None:
            yield BlockedItem(found.host, removal.present.name, removal.blocked)


def _asked_for(found: HostDifference) -> tuple[Removal, ...]:
    """The removals that an entry asks for."""
    return tuple(removal for removal in found.removals if removal.item is not None)


def _guarded(
    desired: Desired,
    host: HostDesired,
    found: HostDifference,
    steps: list[Step],
    allowance: Allowance,
    shrunk: str | None,
    last: frozenset[ModelName],
    own: HostRemembered | None,
) -> tuple[list[Step], list[Refusal]]:
    """The steps that no guard of this host holds back, and the refusals of the rest."""
    refused: list[Refusal] = []
    frozen, held = guard.frozen(found, steps)
    if frozen is not None:
        refused.append(frozen)
        # Deletes come only when all that was to be done before them is.
        steps = [step for step in steps if step.model not in held and not guard.takes_away(step)]
    limit = desired.policy.max_deletes if allowance.max_deletes is None else allowance.max_deletes
    if shrunk is None and not allowance.shrunk and any(map(guard.prunes, steps)) and not guard.items_of(desired):
        shrunk = f"the manifests of `{desired.name}` ask for nothing at all"
    bared = None if allowance.shrunk else guard.bared(host, own, steps)
    deletes = guard.deletes(
        desired, host, steps, limit=limit, shrunk_because=shrunk, bared_because=bared, bereaved=last
    )
    if deletes is not None:
        refused.append(deletes)
        steps = [step for step in steps if not guard.takes_away(step)]
    return steps, refused


def _steps(found: HostDifference, offset: int) -> list[Step]:
    """The steps of one host, numbered after `offset`."""
    drafting = _Drafting(found, offset)
    for item in _by_depth(found):
        drafting.content(item)
    for item in found.items:
        if item.publish is not None:
            drafting.push(item, item.publish)
    drafting.releases()
    for item in found.items:
        if item.warmth is not None:
            drafting.load(item, item.warmth)
    drafting.removals()
    return drafting.steps


class _Drafting:
    """The steps of one host as they are found to be needed, with what each item's later steps have to wait for."""

    def __init__(self, found: HostDifference, offset: int) -> None:
        self._found = found
        self._host = found.host
        self._offset = offset
        self._content: dict[ModelName, int] = {}
        """The step that brings an item's content."""
        self._checked: dict[ModelName, int] = {}
        self._released: dict[ModelName, int] = {}
        self._to_release = {release.present.name: release for release in found.releases}
        self._uploaded: dict[object, int] = {}
        """The step that sends a blob, by its digest, or by the files of an archive."""
        self._fetched: set[Digest] = set()
        """Layers that a pull before brings."""
        self.steps: list[Step] = []

    def _number(self) -> int:
        return self._offset + len(self.steps) + 1

    def _add(self, step: Step) -> int:
        self.steps.append(step)
        return step.number

    def content(self, item: Difference) -> None:
        """What makes the item's content as desired, and asks it its questions."""
        name = item.item.name
        if item.warmth is not None and item.warmth.state is State.DIFFERS and item.warmth.release_first is not None:
            self._released[name] = self._add(_unload(self._number(), self._host, item, item.warmth.release_first))
        if item.state is State.DIFFERS and name in self._to_release:
            # By another content it would be loaded anew, and the former one would stay for as long as it was asked to.
            release = self._to_release.pop(name)
            self._add(_unload(self._number(), self._host, item, release.present.listed, Reason.NO_LONGER_WARM))
        if item.state is State.DIFFERS:
            waits = [self._upload(item, blob) for blob in item.blobs]
            source = item.needs
            made = self._content.get(source) if source is not None else None
            if made is not None:
                waits.append(made)
            if source is not None and source in self._checked and isinstance(item.item.source, Alias):
                waits.append(self._checked[source])
            before = tuple(sorted(set(waits))) if waits else ()
            step = _content(self._number(), self._host, item, before, made, self._fetch(item))
            self._content[name] = self._add(step)
        if item.unchecked and item.state is not State.BLOCKED:
            self._checked[name] = self._add(_check(self._number(), self._host, item, self._content.get(name)))

    def _upload(self, item: Difference, blob: LocalBlob) -> int:
        """One for each blob, however many models of the host are made from it."""
        key = blob.digest or blob.files
        if key not in self._uploaded:
            self._uploaded[key] = self._add(_upload(self._number(), self._host, item, blob))
        return self._uploaded[key]

    def _fetch(self, item: Difference) -> int | None:
        """Bytes that its pull transfers, without the layers that another model brought before."""
        if item.fetch is None or item.fetch.missing is None:
            return None
        new = item.fetch.missing.keys() - self._fetched
        self._fetched |= new
        return sum(item.fetch.missing[layer] for layer in new)

    def push(self, item: Difference, reason: Reason) -> None:
        if item.state is not State.BLOCKED:
            name = item.item.name
            waits = tuple(sorted(n for n in (self._content.get(name), self._checked.get(name)) if n is not None))
            self._add(_push(self._number(), self._host, item, reason, waits, self._content.get(name)))

    def releases(self) -> None:
        for name in sorted(self._to_release):
            present, options = self._to_release[name].present, self._to_release[name].options
            self._add(
                Step(
                    self._number(), self._host, present.name, present.listed, Action.RELEASE, Reason.NO_LONGER_WARM,
                    old=present.digest, new=present.digest, bytes_in=0, release=options,
                )
            )  # fmt: skip

    def load(self, item: Difference, warmth: Warmth) -> None:
        if warmth.state is not State.DIFFERS or item.state is State.BLOCKED:
            return
        name = item.item.name
        content = self._content.get(name)
        before = tuple(sorted(n for n in (content, self._released.get(name)) if n is not None))
        self._add(_load(self._number(), self._host, item, warmth, before, content))

    def removals(self) -> None:
        """Last, and only if all before them succeeded."""
        others = tuple(step.number for step in self.steps)
        for left in self._found.leftovers:
            before = others
            if left.stands is not None:
                before = (*others, self._put_back(left.present, left.stands))
            if left.unload:
                before = (*before, self._unload_gone(left.present, others))
            self._delete(left.present, Reason.LEFT_OVER, before)
        for removal in self._found.removals:
            if removal.blocked is not None:
                continue
            present = removal.present
            before = others
            if removal.unload:
                before = (*others, self._unload_gone(present, others))
            self._delete(present, removal.reason, before)

    def _unload_gone(self, present: Present, before: tuple[int, ...]) -> int:
        return self._add(
            Step(
                self._number(), self._host, present.name, present.listed, Action.UNLOAD, Reason.IN_MEMORY,
                old=present.digest, new=present.digest, bytes_in=0, presumes=present.digest, needs=before,
            )
        )  # fmt: skip

    def _put_back(self, former: Present, stands: Present) -> int:
        others = tuple(step.number for step in self.steps)
        return self._add(
            Step(
                self._number(), self._host, stands.name, stands.listed, Action.COPY, Reason.PUT_BACK,
                old=stands.digest, new=former.digest, bytes_in=0, presumes=stands.digest, needs=others,
                source=former.name,
            )
        )  # fmt: skip

    def _delete(self, present: Present, reason: Reason, before: tuple[int, ...]) -> None:
        self._add(
            Step(
                self._number(), self._host, present.name, present.listed, Action.DELETE, reason,
                old=present.digest, bytes_in=0, bytes_freed=present.size, presumes=present.digest, needs=before,
            )
        )  # fmt: skip


def _by_depth(found: HostDifference) -> list[Difference]:
    by_name = {d.item.name: d for d in found.items}

    def depth(item: Difference) -> int:
        count, needed = 0, needs(item.item)
        while needed is not None and needed in by_name:
            count, needed = count + 1, needs(by_name[needed].item)
        return count

    return sorted(found.items, key=depth)


def _content(
    number: int,
    host: HostName,
    item: Difference,
    waits: tuple[int, ...],
    source_step: int | None,
    fetched: int | None,
) -> Step:
    """Pull, create or copy: what brings the item's content."""
    source = item.item.source
    old = item.present.digest if item.present else None
    listed = item.present.listed if item.present else str(item.item.name)
    reason = item.reason or Reason.MISSING
    made = isinstance(source, Create)
    action = Action.PULL if isinstance(source, Pull) else Action.CREATE if made else Action.COPY
    # A copy's content is its source's, known now or after the step that brings that; a pull's is what the registry
    # told; others tell once they are there.
    after = source_step if action is Action.COPY else None if item.wants is not None else number
    return Step(
        number, host, item.item.name, listed, action, reason, old=old,
        new=item.wants if action is not Action.CREATE else None, new_after=after,
        bytes_in=fetched if action is Action.PULL else 0, presumes=old, needs=waits,
        changes=item.changes, source=item.needs or _origin(item), item=item.item,
        inputs=inputs_fingerprint(source) if isinstance(source, Create) else None,
        accepts=item.accepts,
    )  # fmt: skip


def _origin(item: Difference) -> ModelName | None:
    """What is pulled in place of the name."""
    source = item.item.source
    return source.origin if isinstance(source, Pull) else None


def _upload(number: int, host: HostName, item: Difference, blob: LocalBlob) -> Step:
    listed = item.present.listed if item.present else str(item.item.name)
    return Step(
        number, host, item.item.name, listed, Action.UPLOAD, Reason.BLOB_MISSING, new=blob.digest, bytes_in=blob.size,
        item=item.item, blob=blob,
    )  # fmt: skip


def _check(number: int, host: HostName, item: Difference, content: int | None) -> Step:
    digest = item.present.digest if item.present else None
    return Step(
        number, host, item.item.name, item.present.listed if item.present else str(item.item.name), Action.CHECK,
        Reason.NOT_CHECKED, old=digest, new=digest if content is None else None, new_after=content, bytes_in=0,
        presumes=digest if content is None else None, needs=() if content is None else (content,), item=item.item,
        inputs=questions_of(item.item.check),
    )  # fmt: skip


def _push(
    number: int, host: HostName, item: Difference, reason: Reason, waits: tuple[int, ...], content: int | None
) -> Step:
    digest = item.present.digest if item.present else None
    source = item.item.source
    return Step(
        number, host, item.item.name, item.present.listed if item.present else str(item.item.name), Action.PUSH,
        reason, old=digest, new=digest if content is None else None, new_after=content, bytes_in=0,
        presumes=digest if content is None else None, needs=waits, item=item.item,
        inputs=inputs_fingerprint(source) if isinstance(source, Create) else None,
    )  # fmt: skip


def _unload(
    number: int, host: HostName, item: Difference, listed: str, reason: Reason = Reason.OLD_CONTENT_WARM
) -> Step:
    digest = item.present.digest if item.present else None
    return Step(
        number, host, item.item.name, listed, Action.UNLOAD, reason,
        old=digest, new=digest, bytes_in=0, presumes=digest, item=item.item,
    )  # fmt: skip


def _load(
    number: int, host: HostName, item: Difference, warmth: Warmth, before: tuple[int, ...], content: int | None
) -> Step:
    warm = warmth.kept or item.item.warm
    digest = item.present.digest if item.present else None
    return Step(
        number, host, item.item.name, item.present.listed if item.present else str(item.item.name), Action.LOAD,
        warmth.reason or Reason.NOT_WARM,
        old=digest, new=digest if content is None else None, new_after=content, bytes_in=0,
        presumes=digest if content is None else None, needs=before,
        changes=warmth.changes, item=replace(item.item, warm=warm), inputs=inputs_of_load(warm) if warm else None,
    )  # fmt: skip


def restricted(whole: Plan, kept: Callable[[Step], bool]) -> Plan:
    """The plan with some of its steps alone, numbered anew."""
    steps = tuple(_renumbered([step for step in whole.steps if kept(step)], 0))
    return replace(whole, steps=steps, filtered=whole.filtered or len(steps) < len(whole.steps))


def together(plans: Sequence[Plan]) -> Plan:
    """Plans of one fleet, each for other hosts, as one: what was seen and held back. Their steps are left out."""
    return replace(
        plans[0],
        steps=(),
        hosts=tuple(host for plan in plans for host in plan.hosts),
        blocked=tuple(blocked for plan in plans for blocked in plan.blocked),
        refused=tuple(refusal for plan in plans for refusal in plan.refused),
        suspended={host: why for plan in plans for host, why in plan.suspended.items()},
        observations={host: seen for plan in plans for host, seen in plan.observations.items()},
    )


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
