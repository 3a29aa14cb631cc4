"""The last word on a pass: what a look at the hosts shows, beside what their steps said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.codes import Code
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Difference, Reason, State
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Plan

_HELD = frozenset({Reason.EXPIRES_SOON, Reason.CHECKED_BESIDE})
"""Reasons to load again what is in memory as it should be."""


def unproven(made: Plan, after: Plan, results: Sequence[StepResult]) -> tuple[Failure, ...]:
    """What is otherwise in the last look than the steps that said `done` have it.

    Where a model was loaded, all that is declared warm on that host is looked at: a load can throw others out
    (`ollama-api.md` 12.5), and those had no step of their own.
    """
    ended: dict[tuple[HostName, ModelName], set[Outcome]] = {}
    loaded: set[HostName] = set()
    for result in results:
        ended.setdefault((result.step.host, result.step.model), set()).add(result.outcome)
        if result.step.action is Action.LOAD and result.outcome is Outcome.DONE:
            loaded.add(result.step.host)
    was_warm = {
        (host.host, item.item.name)
        for host in made.hosts
        if host.host in loaded
        for item in host.items
        if item.warmth is not None and item.warmth.state is State.AS_DESIRED
    }
    found: list[Failure] = []
    for host in after.hosts:
        for item in host.items:
            key = (host.host, item.item.name)
            found += _told(host.host, item, done=ended.get(key) == {Outcome.DONE}, was_warm=key in was_warm)
        for removal in host.removals:
            name = removal.present.name
            if ended.get((host.host, name)) == {Outcome.DONE}:
                message = f"`{removal.present.listed}` is still listed in the last look"
                found.append(Failure(Code.NOT_AS_WANTED, message, host.host, name, Action.DELETE))
    return tuple(found)


def _told(host: HostName, item: Difference, *, done: bool, was_warm: bool) -> Iterator[Failure]:
    name, warmth = item.item.name, item.warmth
    if done and item.state is State.DIFFERS:
        yield Failure(Code.NOT_AS_WANTED, f"`{name}` is not as desired in the last look: {item.reason}", host, name)
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
