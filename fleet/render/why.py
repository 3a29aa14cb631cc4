"""Why a host is to have what it is to have: the entry that decides, where it stands, and what is not so yet."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, assert_never

from fleet.codes import Code
from fleet.manifest.inventory import Policy, Update
from fleet.manifest.item import AbsentItem, Alias, Create, HostDesired, Item, Pull, Source
from fleet.manifest.pattern import matches
from fleet.names import ModelName
from fleet.quantities import show_duration
from fleet.reconcile.difference import Difference, HostDifference, Reason, Removal, State
from fleet.reconcile.saved import change_as_json
from fleet.reconcile.step import Refusal
from fleet.render.changes import change_lines
from fleet.render.document import blocked_part, unobserved_part
from fleet.render.held_back import HeldBack
from fleet.render.paint import PLAIN, Paint
from fleet.render.words import STANDS, blocked_lines, hint_lines, name, sentence, some, unobserved_lines
from fleet.render.writing import FORMAT, cleaned

NOTHING_HELD: HeldBack = MappingProxyType({})

_STATES = {
    State.AS_DESIRED: "as desired",
    State.DIFFERS: "not as desired",
    State.BLOCKED: "blocked",
    State.UNVERIFIED: f"there, but {Code.UNVERIFIED.title}; taken to be as desired ({Code.UNVERIFIED.id})",
}


_FOLLOWS = {
    Update.MISSING: "",
    Update.LOCKED: ", as the lock file says",
    Update.ALWAYS: ", whenever its registry serves another content",
}


def why_text(
    desired: HostDesired,
    found: HostDifference,
    model: ModelName | None = None,
    *,
    policy: Policy = Policy(),
    held: HeldBack = NOTHING_HELD,
    paint: Paint = PLAIN,
    show_content: bool = False,
) -> str:
    """All items of a host, or the one that `model` names, ending with a newline; empty if nothing is asked of it.

    `held` is what guards hold back in the plan that `found` is from, `policy` the inventory's.
    """
    lines: list[str] = []
    for item in desired.items:
        if model in {None, item.name}:
            told = [*_item(item, found, show_content), *_refused(held.get((found.host, item.name)))]
            lines += [paint.strong(name(item.name)), *(f"  {line}" for line in told)]
    for removal in found.removals:
        if removal.item is None and model in {None, removal.present.name}:
            told = list(_pruned(removal, found, held))
            lines += [paint.strong(name(removal.present.name)), *(f"  {line}" for line in told)]
    for absent in _asking(desired, model):
        told = list(_absent(absent, found, held, model))
        if model is not None:
            told += _protected(policy, model)
        lines += [paint.strong(name(absent.pattern.text)), *(f"  {line}" for line in told)]
    if lines and found.unobserved is not None:
        first, *rest = [*unobserved_lines(found.unobserved), *hint_lines(found.unobserved.hint)]
        lines += ["", paint.warning(f"{name(found.host)} was not observed: {first}"), *(f"  {line}" for line in rest)]
    return "\n".join(lines) + "\n" if lines else ""


def why_document(
    desired: HostDesired,
    found: HostDifference,
    model: ModelName | None = None,
    *,
    held: HeldBack = NOTHING_HELD,
    show_content: bool = False,
) -> dict[str, Any]:
    """The same for machines."""
    by_name = {difference.item.name: difference for difference in found.items}
    return {
        "type": "why",
        "format": FORMAT,
        "host": found.host,
        "suspended": desired.host.suspended,
        "unobserved": None if found.unobserved is None else unobserved_part(found.unobserved),
        "items": [
            _item_part(item, by_name.get(item.name), held.get((found.host, item.name)), show_content)
            for item in desired.items
            if model in {None, item.name}
        ],
        "absent": [
            {
                "pattern": absent.pattern.text,
                "place": str(absent.place),
                "where": absent.where,
                "listed": [removal.present.listed for removal in _removals(absent, found, model)],
                "held_back": [
                    removal.present.listed
                    for removal in _removals(absent, found, model)
                    if (found.host, removal.present.name) in held
                ],
            }
            for absent in _asking(desired, model)
        ],
        "pruned": [
            {
                "model": str(removal.present.name),
                "listed": removal.present.listed,
                "reason": removal.reason,
                "digest": str(removal.present.digest),
                "blocked": None if removal.blocked is None else blocked_part(removal.blocked),
                "held_back": (found.host, removal.present.name) in held,
            }
            for removal in found.removals
            if removal.item is None and model in {None, removal.present.name}
        ],
    }


def source_words(source: Source) -> str:
    """`pulled`, `created from qwen3:8b`, `an alias of acme/x:latest`."""
    match source:
        case Pull():
            where = f"pulled as {name(source.origin)}" if source.origin is not None else "pulled from its registry"
            followed = f", pinned to {source.pin.short}" if source.pin is not None else _FOLLOWS[source.update]
            return where + (", over plain HTTP" if source.insecure else "") + followed
        case Create():
            made_from = name(source.base) if source.base is not None else some([file.shown for file in source.files])
            return f"created from {made_from}"
        case Alias():
            return f"an alias of {name(source.source)}"
        case _:
            assert_never(source)


def _item(item: Item, found: HostDifference, show_content: bool) -> Iterator[str]:
    yield f"declared: {source_words(item.source)}{_warm(item)}{_kept(item)}"
    yield f"by: {item.place}"
    for place in item.overridden:
        yield f"overridden by: {place}"
    yield f"for: {sentence(item.where)}" if item.where else "for: all hosts (no selector)"
    difference = next((each for each in found.items if each.item.name == item.name), None)
    if difference is None:
        yield "is: not known"
        return
    yield f"is: {_stands(difference.state, difference)}"
    if difference.present is not None:
        yield f"holds: {difference.present.digest.short}, listed as {name(difference.present.listed)}"
    yield from (f"  {line}" for line in change_lines(difference.changes, show_content=show_content))
    for blocked in (difference.blocked, difference.trouble):
        if blocked is not None:
            yield from (f"  {line}" for line in blocked_lines(blocked))
    if difference.unchecked:
        yield f"answers: {STANDS[Reason.NOT_CHECKED]}"
    if difference.publish is not None:
        yield f"published: {STANDS[difference.publish]}"
    warmth = difference.warmth
    if warmth is not None:
        why = f": {STANDS[warmth.reason]}" if warmth.reason else ""
        yield f"in memory: {_STATES[warmth.state]}{why}"
        yield from (f"  {line}" for line in change_lines(warmth.changes, show_content=show_content))
        if warmth.blocked is not None:
            yield from (f"  {line}" for line in blocked_lines(warmth.blocked))


def _stands(state: State, difference: Difference) -> str:
    return f"{_STATES[state]}: {STANDS[difference.reason]}" if difference.reason else _STATES[state]


def _warm(item: Item) -> str:
    if item.warm is None:
        return ""
    keep = "for ever" if item.warm.keep_alive is None else f"for {show_duration(item.warm.keep_alive)}"
    options = ", ".join(f"{key} {value}" for key, value in item.warm.options.items())
    return f", kept in memory {keep}" + (f" with {sentence(options)}" if options else "")


def _kept(item: Item) -> str:
    return (", protected" if item.protect else "") + (", frozen" if item.freeze else "")


def _asking(desired: HostDesired, model: ModelName | None) -> tuple[AbsentItem, ...]:
    """The entries that want something gone; of one model those that decide about it: an exact entry beats a glob."""
    if model is None:
        return desired.absent
    exact = tuple(absent for absent in desired.absent if absent.exact == model)
    if exact or any(item.name == model for item in desired.items):
        return exact
    return tuple(absent for absent in desired.absent if absent.exact is None and matches(absent.pattern.text, model))


def _removals(absent: AbsentItem, found: HostDifference, model: ModelName | None) -> list[Removal]:
    return [removal for removal in found.removals if removal.item == absent and model in {None, removal.present.name}]


def _protected(policy: Policy, model: ModelName) -> Iterator[str]:
    for pattern in policy.protect:
        if matches(pattern.text, model):
            yield f"protected: `policy.protect` has `{name(pattern.text)}`, so it is not deleted ({Code.PROTECTED.id})"


def _refused(refusal: Refusal | None) -> Iterator[str]:
    if refusal is not None:
        yield f"held back: {sentence(refusal.message)} ({refusal.code.id})"
        yield from (f"  {line}" for line in hint_lines(refusal.hint))


def _absent(absent: AbsentItem, found: HostDifference, held: HeldBack, model: ModelName | None) -> Iterator[str]:
    yield "declared: absent"
    yield f"by: {absent.place}"
    yield f"for: {sentence(absent.where)}" if absent.where else "for: all hosts (no selector)"
    removals = _removals(absent, found, model)
    if found.unobserved is not None:
        yield "is: not known"
    elif not removals and model is None:
        yield "is: as desired: no listed name matches"
    elif not removals:
        yield f"is: as desired: {name(model or '')} is not there; would be deleted if it appeared, by {absent.place}"
    for removal in removals:
        yield f"is: not as desired: {name(removal.present.listed)} is listed, {removal.present.digest.short}"
        if removal.blocked is not None:
            yield from (f"  {line}" for line in blocked_lines(removal.blocked))
        yield from _refused(held.get((found.host, removal.present.name)))


def _pruned(removal: Removal, found: HostDifference, held: HeldBack) -> Iterator[str]:
    yield "declared: by nobody; `policy.prune` has it deleted"
    yield f"is: {name(removal.present.listed)} is listed, {removal.present.digest.short}: {STANDS[removal.reason]}"
    if removal.blocked is not None:
        yield from (f"  {line}" for line in blocked_lines(removal.blocked))
    yield from _refused(held.get((found.host, removal.present.name)))


def _item_part(
    item: Item, difference: Difference | None, refusal: Refusal | None, show_content: bool
) -> dict[str, Any]:
    warmth = difference.warmth if difference else None
    part: dict[str, Any] = {
        "model": str(item.name),
        "declared": source_words(item.source),
        "place": str(item.place),
        "overridden": [str(place) for place in item.overridden],
        "where": item.where,
        "state": difference.state if difference else None,
        "reason": difference.reason if difference else None,
        "digest": str(difference.present.digest) if difference and difference.present else None,
        "changes": [change_as_json(c, show=show_content) for c in difference.changes] if difference else [],
        "blocked": blocked_part(difference.blocked) if difference and difference.blocked else None,
        "held_back": None if refusal is None else {"code": refusal.code.id, "message": cleaned(refusal.message)},
        "warm": None,
    }
    if warmth is not None:
        part["warm"] = {
            "state": warmth.state,
            "reason": warmth.reason,
            "changes": [change_as_json(change, show=show_content) for change in warmth.changes],
            "blocked": blocked_part(warmth.blocked) if warmth.blocked else None,
        }
    return part
