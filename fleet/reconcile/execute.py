"""Carries the steps of one host out, in order, one at a time, and says how each ended.

A step is done only when the host's stream said so *and* a new look shows what was wanted (`design.md` 8). What a step
needs is looked at just before it acts: a host that moved on meanwhile ends the step as superseded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from fleet.codes import Code
from fleet.errors import HostError
from fleet.manifest.item import HostDesired
from fleet.names import HostName
from fleet.ollama.client import Client
from fleet.reconcile.acting import Acting, SupersededError
from fleet.reconcile.connection import connect
from fleet.reconcile.observe import look, unobserved
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.progress import Listener, StepBegun, StepEnded
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Step
from fleet.reconcile.stop import Stop
from fleet.settings import Settings


async def carry_out_host(
    desired: HostDesired,
    before: Observed,
    steps: Sequence[Step],
    settings: Settings,
    stop: Stop,
    listener: Listener,
    deleting: Callable[[HostName, Sequence[Step]], None],
) -> tuple[tuple[StepResult, ...], Observation]:
    """The results of all steps, and what a last look at the host shows. Never raises for what a host does.

    `deleting` is told before the first delete, with all of them.
    """
    results: dict[int, StepResult] = {}
    try:
        async with connect(desired.host, settings) as client:
            acting = Acting(client, desired, before, settings, stop, listener)
            for step in steps:
                results[step.number] = await _one(step, steps, results, acting, stop, listener, deleting)
                listener(StepEnded(results[step.number]))
            if all(result.outcome is Outcome.NOT_TRIED for result in results.values()):
                return tuple(results.values()), before
            return tuple(results.values()), await _last_look(client, desired)
    except HostError as error:
        # Credentials that cannot be read any more: nothing was sent.
        return _none_tried(steps, results, error), unobserved(desired.host.name, error)


async def _last_look(client: Client, desired: HostDesired) -> Observation:
    try:
        return await look(client, desired)
    except HostError as error:
        return unobserved(desired.host.name, error)


async def _one(
    step: Step,
    steps: Sequence[Step],
    results: dict[int, StepResult],
    acting: Acting,
    stop: Stop,
    listener: Listener,
    deleting: Callable[[HostName, Sequence[Step]], None],
) -> StepResult:
    withheld = _withheld(step, results, acting, stop)
    if withheld is not None:
        return StepResult(step, withheld.outcome, withheld)
    if step.action is Action.DELETE:
        deleting(step.host, [other for other in steps if other.action is Action.DELETE])
    begun = time.monotonic()
    listener(StepBegun(step))
    failure: Failure | None = None
    try:
        await acting.act(step)
    except SupersededError as moved:
        failure = Failure(
            Code.SUPERSEDED, str(moved), step.host, step.model, step.action, step.number, Outcome.SUPERSEDED
        )
    except HostError as error:
        failure = Failure.of(error, step)
    except Exception as error:
        failure = Failure(
            Code.INTERNAL,
            f"{type(error).__name__}: {error}",
            step.host,
            step.model,
            step.action,
            step.number,
            Outcome.UNKNOWN,
        )
    outcome = Outcome.DONE if failure is None else failure.outcome
    return StepResult(step, outcome, failure, time.monotonic() - begun, acting.moved(step))


def _withheld(step: Step, results: dict[int, StepResult], acting: Acting, stop: Stop) -> Failure | None:
    """Why a step is not even begun, if it is not."""
    missing = [number for number in step.needs if results[number].outcome is not Outcome.DONE]
    told: str | None = None
    if stop.requested:
        code, told = Code.INTERRUPTED, "the run was interrupted before it"
    elif missing:
        code, told = Code.NOT_TRIED, f"step {missing[0]} did not succeed, and this needs it"
    elif step.action is Action.LOAD and acting.out_of_memory:
        code, told = Code.NOT_TRIED, "the host ran out of memory in this run, so nothing more is loaded"
    else:
        return None
    return Failure(code, told, step.host, step.model, step.action, step.number, Outcome.NOT_TRIED)


def _none_tried(steps: Sequence[Step], results: dict[int, StepResult], error: HostError) -> tuple[StepResult, ...]:
    for step in steps:
        if step.number not in results:
            failure = replace(Failure.of(error, step), outcome=Outcome.NOT_TRIED)
            results[step.number] = StepResult(step, Outcome.NOT_TRIED, failure)
    return tuple(results[step.number] for step in steps)
