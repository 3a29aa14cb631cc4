"""When something that failed is tried again: retry classes and back-off by host and item (`reliability.md` C.0.3). Pure.

A failure is remembered with what it was tried with: other inputs are another try, which waits for nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.codes import Code
from fleet.ollama.versions import Version
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.report import Failure
from fleet.reconcile.step import Action, Step
from fleet.settings import Settings
from fleet.state.attempts import Attempt, RetryClass

LOOK = "look"
"""In place of an action: the host could not be looked at."""

_PROBE = 300.0
"""Seconds between two looks at a host that does not answer, at most: a dozen an hour cost nobody anything."""
_LOADS = 21600.0
"""Seconds between two loads for which memory does not suffice, at most."""
_SPREAD = 0.2
_IN_VAIN = 3
"""So often in a row the same change may not hold before a person has to look."""

_RESOURCES = {
    Code.DISK_FULL: RetryClass.B_DISK,
    Code.OUT_OF_MEMORY: RetryClass.B_VRAM,
    Code.NOT_HELD: RetryClass.B_VRAM,
    Code.NEWER_SERVER_NEEDED: RetryClass.B_VERSION,
    Code.DOWNLOAD_DAMAGED: RetryClass.S,
    Code.FOREIGN_WRITER: RetryClass.S,
}
_RESUMED = frozenset({Code.STREAM_CUT, Code.STALLED, Code.SILENT})
_OF_NO_ITEM = frozenset({Code.NOT_TRIED, Code.INTERRUPTED, Code.SUPERSEDED, Code.HOST_UNSETTLED, Code.HOST_LEASED})
"""Nothing failed: the next pass simply goes on."""


def class_of(code: Code, action: Action | None) -> RetryClass:
    """Which kind of waiting helps against a failure."""
    if code in _RESOURCES:
        return _RESOURCES[code]
    if code.retry == "never":
        return RetryClass.P
    if code in _RESUMED and action in {Action.PULL, Action.PUSH}:
        return RetryClass.T_RESUME
    return RetryClass.U if code.retry == "observe" else RetryClass.T


def needs_person(retry_class: RetryClass) -> bool:
    """Whether trying again alone will not help."""
    return retry_class not in {RetryClass.T, RetryClass.T_RESUME, RetryClass.U}


def counts(failure: Failure) -> bool:
    """Whether it is a failure of its item, to be waited for."""
    return failure.code not in _OF_NO_ITEM and failure.model is not None


def inputs_of(step: Step, version: Version) -> str:
    """Short hash of what a step is tried with: other manifests or another server make it another one."""
    accepts = sorted(str(digest) for digest in step.accepts or ())
    source = "" if step.source is None else step.source.key
    told = f"{step.action} {source} {step.inputs} {accepts} {step.new} {version}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def after_failure(
    former: Attempt | None, failure: Failure, inputs: str, now: datetime, settings: Settings, chance: float
) -> Attempt:
    """The attempt that failed just now. `chance` from 0 to 1 spreads the waiting, so that many do not come back at once."""
    if failure.model is None:
        raise ValueError("a failure of no item")
    action = str(failure.action) if failure.action is not None else ""
    again = former is not None and former.inputs == inputs
    tries = former.tries + 1 if former is not None and again else 1
    code = Code.DOES_NOT_CONVERGE if failure.code is Code.NOT_AS_WANTED and tries >= _IN_VAIN else failure.code
    kind = class_of(code, failure.action)
    wait = settings.back_off_most if needs_person(kind) else _doubled(settings.back_off, tries, settings.back_off_most)
    if kind is RetryClass.B_VRAM:
        # Each such try throws out of memory what is there.
        wait = max(wait, _doubled(settings.back_off_most, tries, _LOADS))
    return Attempt(
        failure.host,
        str(failure.model),
        action,
        kind,
        tries,
        former.first if former is not None and again else now,
        now,
        now + timedelta(seconds=_spread(wait, chance)),
        inputs,
        code.id,
        failure.message,
    )


def after_silence(
    former: Attempt | None, unobserved: Unobserved, now: datetime, settings: Settings, chance: float
) -> Attempt:
    """The same for a host that could not be looked at. It is looked at more often: that changes nothing there."""
    tries = former.tries + 1 if former is not None else 1
    most = min(settings.back_off_most, _PROBE)
    return Attempt(
        unobserved.host,
        "",
        LOOK,
        class_of(unobserved.code, None),
        tries,
        former.first if former is not None else now,
        now,
        now + timedelta(seconds=_spread(_doubled(settings.back_off, tries, most), chance)),
        "",
        unobserved.code.id,
        unobserved.message,
    )


def brought_here(attempt: Attempt, now: datetime, settings: Settings) -> Attempt:
    """One that an earlier process left: a clock that was set back must not make it wait for longer than it ever would."""
    longest = max(settings.back_off_most, _LOADS) * (1 + _SPREAD)
    latest = now + min(attempt.next_try - attempt.last, timedelta(seconds=longest))
    return replace(attempt, next_try=latest) if attempt.next_try > latest else attempt


def _doubled(first: float, tries: int, most: float) -> float:
    return float(min(first * 2.0 ** min(tries - 1, 30), most))


def _spread(seconds: float, chance: float) -> float:
    return seconds * (1 - _SPREAD + 2 * _SPREAD * chance)
