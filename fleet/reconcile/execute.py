"""Carries the steps of one host out, in order, one at a time, and says how each ended.

A step is done only when the host's stream said so *and* a new look shows what was wanted (`design.md` 8). What a step
needs is looked at just before it acts: a host that moved on meanwhile ends the step as superseded.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from fleet.codes import Code
from fleet.errors import HostError
from fleet.manifest.item import HostDesired
from fleet.names import ModelName
from fleet.ollama.client import Client
from fleet.reconcile.connection import connect
from fleet.reconcile.observe import look, unobserved
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.progress import StepBegun, StepEnded
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.acting import Acting, StoppedError, SupersededError
from fleet.reconcile.steps.session import Told
from fleet.state.evidence import Evidence
from fleet.state.memory import StateError


async def carry_out_host(
    desired: HostDesired, before: Observed, steps: Sequence[Step], told: Told
) -> tuple[tuple[StepResult, ...], Observation]:
    """The results of all steps, and what a last look at the host shows. Never raises, whatever happens."""
    results: dict[int, StepResult] = {}

    def end(result: StepResult) -> None:
        results[result.step.number] = result
        told.listener(StepEnded(result))

    try:
        async with connect(desired.host, told.settings) as client:
            acting = Acting(client, desired, before, told)
            for step in steps:
                end(await _one(step, results, acting, told))
            if all(result.outcome is Outcome.NOT_TRIED for result in results.values()):
                return tuple(results.values()), before
            return tuple(results.values()), await _last_look(client, desired, told)
    except HostError as error:
        # Credentials that cannot be read any more: nothing was sent.
        for step in steps:
            if step.number not in results:
                end(StepResult(step, Outcome.NOT_TRIED, Failure.of(error, step, Outcome.NOT_TRIED)))
        return tuple(results[step.number] for step in steps), unobserved(desired.host.name, error)


async def _last_look(client: Client, desired: HostDesired, told: Told) -> Observation:
    try:
        return await look(client, desired, told.settings, _evidence(desired, told))
    except Exception as error:
        return unobserved(desired.host.name, error)


def _evidence(desired: HostDesired, told: Told) -> Mapping[ModelName, Evidence]:
    known = told.shared.memory.remembered().hosts.get(desired.host.name)
    return known.evidence if known is not None and known.url == desired.host.url else {}


async def _one(step: Step, results: Mapping[int, StepResult], acting: Acting, told: Told) -> StepResult:
    withheld = _withheld(step, results, acting, told)
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
        failure = _failure(step, Code.INTERNAL, f"{type(error).__name__}: {error}", Outcome.UNKNOWN)
    outcome = Outcome.DONE if failure is None else failure.outcome
    return StepResult(step, outcome, failure, time.monotonic() - begun, acting.moved(step))


def _failure(step: Step, code: Code, message: str, outcome: Outcome) -> Failure:
    return Failure(code, message, step.host, step.model, step.action, step.number, outcome)


def _withheld(step: Step, results: Mapping[int, StepResult], acting: Acting, told: Told) -> Failure | None:
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
    return None


def _takes_back(step: Step, results: Mapping[int, StepResult], missing: Sequence[int]) -> bool:
    """A load whose model was released for new content that then did not come: what is there goes back to memory."""
    released = any(
        results[number].step.action is Action.UNLOAD and results[number].outcome is Outcome.DONE
        for number in step.needs
    )
    return step.action is Action.LOAD and released and list(missing) == [step.new_after]
