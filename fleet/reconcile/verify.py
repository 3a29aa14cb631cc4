"""The last word on a pass: what a look at the hosts shows, beside what their steps said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleet.codes import Code
from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Change, Difference, HostDifference, Reason, State
from fleet.reconcile.observed import Observed, Present
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Plan

_WHOLE = frozenset({State.AS_DESIRED, State.UNVERIFIED})
_HELD = frozenset({Reason.EXPIRES_SOON, Reason.CHECKED_BESIDE})
"""Reasons to load again what is in memory as it should be."""


def unproven(made: Plan, after: Plan, results: Sequence[StepResult]) -> tuple[Failure, ...]:
    """What is otherwise in the last look than the steps that said `done` have it.

    All that is declared warm is looked at: even a load that fails can throw others out (`ollama-api.md` 12.5), and so does
    a server that starts anew meanwhile, and those had no step of their own.
    """
    ended: dict[tuple[HostName, ModelName], set[Outcome]] = {}
    for result in results:
        ended.setdefault((result.step.host, result.step.model), set()).add(result.outcome)
    was_warm = {
        (host.host, item.item.name)
        for host in made.hosts
        for item in host.items
        if item.warmth is not None and item.warmth.state is State.AS_DESIRED
    }
    was_whole = {(host.host, item.item.name) for host in made.hosts for item in host.items if item.state in _WHOLE}
    before = {host.host: host for host in made.hosts}
    found: list[Failure] = []
    for host in after.hosts:
        seen = made.observations.get(host.host)
        listed = seen.models if isinstance(seen, Observed) else {}
        found += _moved(before.get(host.host), host, ended, listed)
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
    before: HostDifference | None,
    after: HostDifference,
    ended: Mapping[tuple[HostName, ModelName], set[Outcome]],
    listed: Mapping[ModelName, Present],
) -> Iterator[Failure]:
    """What was as desired when this was planned and is not any more, though no step was about it: by somebody else, and
    all is not as desired then. `listed` is what the host listed when this was planned.
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
        was = listed.get(name)
        # What was there when this was planned did not come meanwhile: it is not needed any more, as it was then.
        came = was is None or was.digest != removal.present.digest
        if removal.blocked is None and came and name not in known and (after.host, name) not in ended:
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
