"""What a pass came to, all its hosts together: for the history, the metrics and the exit code of `--once`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.codes import Code
from fleet.daemon.done import Done
from fleet.daemon.status import Outcome as Ended
from fleet.errors import ExitCode, highest_ranked
from fleet.foreign import clean
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.report import Outcome, StepResult, exit_code
from fleet.reconcile.run import report_of
from fleet.render.document import plan_document, report_document
from fleet.render.words import counted, some

_NAMED = 3
_ENDED_BADLY = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
_NOT_FAILED = frozenset({Code.INTERRUPTED, Code.NOT_TRIED, Code.SUPERSEDED, Code.HOST_UNSETTLED, Code.HOST_LEASED})


@dataclass(frozen=True, slots=True)
class Judged:
    """A pass in a few words."""

    outcome: Ended
    done: int
    """Steps that were carried out."""
    failed: int
    """Steps that failed, or whose end is not known."""
    message: str
    complete: bool
    """Whether it looked at every host that answered, and was not cut short."""


def judge(hosts: Sequence[Done]) -> Judged:
    """What is left for the next pass, since something before it failed or newer manifests came, is no failure."""
    results = [result for each in hosts if each.report is not None for result in each.report.results]
    done = sum(result.outcome is Outcome.DONE for result in results)
    failed = sum(result.outcome in _ENDED_BADLY and not _interrupted(result) for result in results)
    failures = [
        failure
        for each in hosts
        if each.report is not None
        for failure in each.report.failures
        if failure.code not in _NOT_FAILED
    ]
    refused = [refusal for each in hosts if each.plan is not None for refusal in each.plan.refused]
    unseen = [each.host for each in hosts if isinstance(each.observation, Unobserved)]
    cut = any(each.cut for each in hosts) or any(map(_interrupted, results))
    planned = sum(
        len(each.plan.steps) for each in hosts if each.plan is not None and each.report is None and not each.held
    )
    parts = [
        f"{counted(planned, 'step')} planned, and none carried out" if planned else "",
        f"{counted(failed, 'step')} failed" if failed else "",
        f"{counted(len(refused), 'refusal')} by guards" if refused else "",
        f"not observed: {some(unseen, _NAMED)}" if unseen else "",
    ]
    if cut:
        outcome = Ended.CUT_SHORT
    elif failures or refused:
        outcome = Ended.FAILED
    else:
        outcome = Ended.CHANGED if done else Ended.UNCHANGED
    return Judged(outcome, done, failed, "; ".join(part for part in parts if part), complete=not cut)


def _interrupted(result: StepResult) -> bool:
    return result.failure is not None and result.failure.code is Code.INTERRUPTED


def document_of(hosts: Iterable[Done]) -> dict[str, Any]:
    """What `fleet history N` shows: the plan and results of every host on which something was to be done or told."""
    parts = []
    for each in hosts:
        if each.report is not None:
            parts.append(report_document(each.report, exit_code(each.report, applied=True)))
        elif each.plan is not None and (each.plan.steps or each.plan.blocked or each.plan.refused):
            report = report_of(each.plan)
            parts.append(plan_document(report, exit_code(report, applied=False)))
        elif isinstance(each.observation, Unobserved):
            unseen = each.observation
            parts.append(
                {"type": "unobserved", "host": each.host, "code": unseen.code.id, "message": clean(unseen.message)}
            )
    return {"hosts": parts}


def code_of(hosts: Iterable[Done], allowed_unobserved: int) -> ExitCode:
    """The exit code of one pass by itself (`design.md` 10)."""
    codes: list[ExitCode] = []
    unseen = 0
    for each in hosts:
        if isinstance(each.observation, Unobserved):
            unseen += 1
        elif each.report is not None:
            codes.append(exit_code(each.report, allowed_unobserved=1, applied=True))
        elif each.plan is not None:
            codes.append(exit_code(report_of(each.plan), allowed_unobserved=1, applied=True))
        if each.held:
            codes.append(ExitCode.PARTIAL)
    if unseen > allowed_unobserved:
        codes.append(ExitCode.UNOBSERVED)
    return highest_ranked(codes)
