"""Carries the steps of one host out, in order, one at a time, and says how each ended.

A step is done only when the host's stream said so *and* a new look shows what was wanted (`design.md` 8). What a step
needs is looked at just before it acts: a host that moved on meanwhile ends the step as superseded.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from fleet.codes import Code
from fleet.errors import HostError
from fleet.manifest.item import Alias, HostDesired
from fleet.names import ModelName
from fleet.ollama.breakage import no_room
from fleet.ollama.client import Client
from fleet.reconcile.difference import Blocked
from fleet.reconcile.doubting import shown, with_layers
from fleet.reconcile.leasing import leased
from fleet.reconcile.observe import look, unobserved
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.progress import StepBegun, StepEnded
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.acting import Acting, StoppedError, SupersededError
from fleet.reconcile.steps.holding import behind, leased_by
from fleet.reconcile.steps.session import Told
from fleet.reconcile.unsettled import BROKEN, Turns, exclusive, turns
from fleet.state.evidence import Begun, Evidence
from fleet.state.memory import StateError

_ADDS = frozenset({Action.PULL, Action.UPLOAD, Action.CREATE, Action.COPY})
"""Take room on the host's disk."""


async def carry_out_host(
    desired: HostDesired, before: Observed, steps: Sequence[Step], told: Told
) -> tuple[tuple[StepResult, ...], Observation]:
    """The results of all steps, and what a last look at the host shows. Never raises, whatever happens."""
    results: dict[int, StepResult] = {}

    def end(result: StepResult) -> None:
        results[result.step.number] = result
        told.listener(StepEnded(result))

    try:
        async with (
            told.reach(desired.host, told.settings) as client,
            leased(told.leases, desired.host.url, client.now) as other,
        ):
            leaving = {step.model for step in steps if step.action is Action.DELETE}
            acting = Acting(client, desired, before, told, leaving)
            begun, wait = told.shared.known(desired.host).begun, told.settings.unsettled_wait
            order = turns(steps, begun, client.now(), wait)
            for step in order.steps:
                end(await _one(step, results, acting, told, order) if other is None else _left(step, leased_by(other)))
            if all(result.outcome is Outcome.NOT_TRIED for result in results.values()):
                return tuple(results.values()), before
            removed = any(exclusive(each.step) and each.outcome is Outcome.DONE for each in results.values())
            return tuple(results.values()), await _last_look(client, desired, told, removed=removed)
    except StateError as error:
        # Whose the host is could not be recorded: nothing more is begun anywhere.
        told.stop.request(error.exit_code)
        for step in steps:
            if step.number not in results:
                end(StepResult(step, Outcome.NOT_TRIED, Failure.of(error, step, Outcome.NOT_TRIED)))
        return tuple(results[step.number] for step in steps), before
    except HostError as error:
        # Credentials that cannot be read any more: nothing was sent.
        for step in steps:
            if step.number not in results:
                end(StepResult(step, Outcome.NOT_TRIED, Failure.of(error, step, Outcome.NOT_TRIED)))
        return tuple(results[step.number] for step in steps), unobserved(desired.host.name, error)
    except Exception as error:  # beside the steps themselves, which keep theirs: the other hosts go on all the same
        for step in steps:
            if step.number not in results:
                results[step.number] = _ended(step, error, Outcome.NOT_TRIED)
        return tuple(results[step.number] for step in steps), unobserved(desired.host.name, error)


async def look_again(desired: HostDesired, told: Told) -> Observation:
    """What the host shows now, for one that may have gone on by itself while others were changed. Never raises."""
    try:
        async with told.reach(desired.host, told.settings) as client:
            return await _last_look(client, desired, told, removed=False)
    except Exception as error:
        return unobserved(desired.host.name, error)


async def _last_look(client: Client, desired: HostDesired, told: Told, *, removed: bool) -> Observation:
    """Where layers may have been `removed`, all declared models are shown: a stranger may have been at work beside it."""
    try:
        observed = await look(client, desired, told.settings, _evidence(desired, told))
        doubted = with_layers(desired) if removed else told.shared.known(desired.host).begun.keys()
        observed = await shown(client, observed, doubted)
        if removed:
            _mark_broken(desired, observed, told, client.now())
    except Exception as error:
        return unobserved(desired.host.name, error)
    return observed


def _mark_broken(desired: HostDesired, observed: Observed, told: Told, at: datetime) -> None:
    """Models that are not whole are remembered, since no listing tells the next pass."""
    host, begun = desired.host, told.shared.known(desired.host).begun
    for item in desired.items:
        if isinstance(item.source, Alias) or item.name in begun or item.name not in observed.models:
            continue
        if observed.contents.get(item.name, ...) is None:
            mark = Begun(BROKEN, observed.models[item.name].digest, at)
            told.shared.memory.begin(host.name, host.url, item.name, mark)


def _evidence(desired: HostDesired, told: Told) -> Mapping[ModelName, Evidence]:
    known = told.shared.memory.remembered().hosts.get(desired.host.name)
    return known.evidence if known is not None and known.url == desired.host.url else {}


async def _one(step: Step, results: Mapping[int, StepResult], acting: Acting, told: Told, order: Turns) -> StepResult:
    withheld = _withheld(step, results, acting, told, order)
    if withheld is not None:
        return StepResult(step, withheld.outcome, withheld)
    begun = time.monotonic()
    told.listener(StepBegun(step))
    failure: Failure | None = None
    try:
        await acting.act(step)
    except SupersededError as moved:
        failure = _failure(step, Code.SUPERSEDED, str(moved), Outcome.SUPERSEDED)
    except StoppedError:
        failure = _failure(step, Code.INTERRUPTED, "the run was interrupted before it", Outcome.NOT_TRIED)
    except HostError as error:
        failure = Failure.of(error, step)
    except StateError as error:
        # What was done and is not recorded could be forgotten: nothing more is begun anywhere.
        told.stop.request(error.exit_code)
        failure = Failure.of(error, step)
    except Exception as error:
        failure = _ended(step, error, Outcome.UNKNOWN).failure
    outcome = Outcome.DONE if failure is None else failure.outcome
    return StepResult(step, outcome, failure, time.monotonic() - begun, acting.moved(step))


def _ended(step: Step, error: Exception, outcome: Outcome) -> StepResult:
    """How a step ended for a reason that is none of the host's: this machine's, or a fault of fleet itself."""
    lacking = no_room(error)
    if lacking is not None:
        failure = _failure(step, Code.NO_ROOM_HERE, f"this machine has no room for it ({lacking})", outcome)
        return StepResult(step, outcome, replace(failure, hint=Code.NO_ROOM_HERE.cure))
    return StepResult(step, outcome, _failure(step, Code.INTERNAL, f"{type(error).__name__}: {error}", outcome))


def _failure(step: Step, code: Code, message: str, outcome: Outcome) -> Failure:
    return Failure(code, message, step.host, step.model, step.action, step.number, outcome)


def _withheld(
    step: Step, results: Mapping[int, StepResult], acting: Acting, told: Told, order: Turns
) -> Failure | None:
    """Why a step is not even begun, if it is not."""
    missing = [number for number in step.needs if results[number].outcome is not Outcome.DONE]
    if told.stop.requested:
        return _failure(step, Code.INTERRUPTED, "the run was interrupted before it", Outcome.NOT_TRIED)
    enough = told.enough(step)
    if enough is not None:
        return _failure(step, Code.NOT_TRIED, enough, Outcome.NOT_TRIED)
    if missing and not _takes_back(step, results, missing):
        message = f"step {missing[0]} did not succeed, and this needs it"
        return _failure(step, Code.NOT_TRIED, message, Outcome.NOT_TRIED)
    if step.action is Action.LOAD and acting.out_of_memory:
        message = "the host ran out of memory in this run, so nothing more is loaded"
        return _failure(step, Code.NOT_TRIED, message, Outcome.NOT_TRIED)
    if step.action in _ADDS and acting.disk_full:
        message = "the host's disk is full, so nothing more is brought there in this run"
        return _failure(step, Code.NOT_TRIED, message, Outcome.NOT_TRIED)
    held = behind(step) if step.number in order.last and _waiting(results) else acting.held(step, order.followed)
    return None if held is None else _left(step, held).failure


def _waiting(results: Mapping[int, StepResult]) -> bool:
    """Whether a step of this host waits for it to be done with what was left there."""
    codes = (each.failure.code for each in results.values() if each.failure is not None and exclusive(each.step))
    return Code.HOST_UNSETTLED in codes


def _left(step: Step, held: Blocked) -> StepResult:
    """The result of a step that is left for later, whatever it needs."""
    failure = replace(_failure(step, held.code, held.message, Outcome.NOT_TRIED), hint=held.hint)
    return StepResult(step, Outcome.NOT_TRIED, failure)


def _takes_back(step: Step, results: Mapping[int, StepResult], missing: Sequence[int]) -> bool:
    """A load whose model was released for new content that then did not come: what is there goes back to memory."""
    released = any(
        results[number].step.action is Action.UNLOAD and results[number].outcome is Outcome.DONE
        for number in step.needs
    )
    return step.action is Action.LOAD and released and list(missing) == [step.new_after]
