"""The last word on a pass: what a look at the hosts shows, beside what their steps said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleet.codes import Code
from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Change, Difference, HostDifference, Reason, State
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Plan

_ASKED_FOR = frozenset({Outcome.DONE, Outcome.FAILED, Outcome.UNKNOWN})
_WHOLE = frozenset({State.AS_DESIRED, State.UNVERIFIED})
_HELD = frozenset({Reason.EXPIRES_SOON, Reason.CHECKED_BESIDE})
"""Reasons to load again what is in memory as it should be."""


def unproven(made: Plan, after: Plan, results: Sequence[StepResult]) -> tuple[Failure, ...]:
    """What is otherwise in the last look than the steps that said `done` have it.

    Where a load was asked for, all that is declared warm on that host is looked at: even one that fails can throw others
    out (`ollama-api.md` 12.5), and those had no step of their own.
    """
    ended: dict[tuple[HostName, ModelName], set[Outcome]] = {}
    loaded: set[HostName] = set()
    for result in results:
        ended.setdefault((result.step.host, result.step.model), set()).add(result.outcome)
        if result.step.action is Action.LOAD and result.outcome in _ASKED_FOR:
            loaded.add(result.step.host)
    was_warm = {
        (host.host, item.item.name)
        for host in made.hosts
        if host.host in loaded
        for item in host.items
        if item.warmth is not None and item.warmth.state is State.AS_DESIRED
    }
    was_whole = {(host.host, item.item.name) for host in made.hosts for item in host.items if item.state in _WHOLE}
    before = {host.host: host for host in made.hosts}
    found: list[Failure] = []
    for host in after.hosts:
        found += _moved(before.get(host.host), host, ended)
        for item in host.items:
            key = (host.host, item.item.name)
            found += _told(host.host, item, done=ended.get(key) == {Outcome.DONE}, was_warm=key in was_warm)
            if key in was_whole and key not in ended and item.reason is Reason.BROKEN:
                message = (
                    f"`{key[1]}` was whole before, and lost layers while other models of `{host.host}` were changed"
                )
                found.append(Failure(Code.LAYERS_LOST, message, *key))
        for removal in host.removals:
            name = removal.present.name
            if ended.get((host.host, name)) == {Outcome.DONE}:
                message = f"`{removal.present.listed}` is still listed in the last look"
                found.append(Failure(Code.NOT_AS_WANTED, message, host.host, name, Action.DELETE))
    return tuple(found)


def _both(change: Change) -> str:
    """What is there beside what is wanted; of texts of people, the field alone."""
    if change.sensitive:
        return change.field
    return clean(f"{change.field} is {change.old or 'nothing'}, wanted {change.new or 'nothing'}")


def _moved(
    before: HostDifference | None, after: HostDifference, ended: Mapping[tuple[HostName, ModelName], set[Outcome]]
) -> Iterator[Failure]:
    """What was as desired when this was planned and is not any more, though no step was about it: by somebody else, and
    all is not as desired then.
    """
    if before is None:
        return
    were = {item.item.name for item in before.items if item.state in {State.AS_DESIRED, State.UNVERIFIED}}
    for item in after.items:
        name = item.item.name
        differs = item.state is State.DIFFERS and item.reason is not Reason.BROKEN
        if differs and name in were and (after.host, name) not in ended:
            message = f"`{name}` was as desired when this was planned, and is not in the last look: {item.reason}"
            yield Failure(Code.SUPERSEDED, message, after.host, name, outcome=Outcome.SUPERSEDED)
    known = {removal.present.name for removal in before.removals}
    for removal in after.removals:
        name = removal.present.name
        if removal.blocked is None and name not in known and (after.host, name) not in ended:
            message = f"`{removal.present.listed}` came to the host while this ran, and is to be gone"
            yield Failure(Code.SUPERSEDED, message, after.host, name, outcome=Outcome.SUPERSEDED)


def _told(host: HostName, item: Difference, *, done: bool, was_warm: bool) -> Iterator[Failure]:
    name, warmth = item.item.name, item.warmth
    if done and item.state is State.DIFFERS:
        values = ", ".join(_both(change) for change in item.changes)
        told = f"{item.reason} ({values})" if values else str(item.reason)
        yield Failure(Code.NOT_AS_WANTED, f"`{name}` is not as desired in the last look: {told}", host, name)
    elif (
        (done or was_warm)
        and item.state is not State.DIFFERS
        and warmth is not None
        and warmth.state is State.DIFFERS
        and warmth.reason not in _HELD
    ):
        what = "was loaded" if done else "was in memory before this pass"
        yield Failure(
            Code.NOT_HELD, f"`{name}` {what}, and the last look shows: {warmth.reason}", host, name, Action.LOAD
        )
