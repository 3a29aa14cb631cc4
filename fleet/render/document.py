"""Plans and reports as JSON documents; `docs/output.md` is their reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from fleet.codes import Code
from fleet.errors import ExitCode
from fleet.reconcile.difference import Blocked, HostDifference, State
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.report import Failure, Report, StepResult
from fleet.reconcile.saved import change_as_json, step_as_json
from fleet.reconcile.step import Plan, Step
from fleet.render.report import failures_of
from fleet.render.taken_away import taking_steps
from fleet.render.writing import FORMAT, cleaned


def plan_document(report: Report, exit_code: ExitCode, *, show_content: bool = False) -> dict[str, Any]:
    """A mere plan."""
    return {
        "type": "plan",
        "format": FORMAT,
        **plan_part(report.plan, show_content=show_content),
        "counts": asdict(report.counts),
        "exit_code": int(exit_code),
    }


def planned_document(plan: Plan, *, show_content: bool = False) -> dict[str, Any]:
    """A plan that is about to be carried out."""
    return {"type": "planned", "format": FORMAT, **plan_part(plan, show_content=show_content)}


def report_document(report: Report, exit_code: ExitCode, *, show_content: bool = False) -> dict[str, Any]:
    """A pass at its end: its plan, how each step ended, every failure, what is left."""
    document = plan_part(report.plan, show_content=show_content)
    document["unobserved"] = [unobserved_part(each) for each in report.unobserved]
    return {
        "type": "report",
        "format": FORMAT,
        **document,
        "results": [result_part(result) for result in report.results],
        "failures": [failure_part(failure) for failure in failures_of(report)],
        "remaining": [step_part(step, show_content=show_content) for step in report.after.steps],
        "interrupted": None if report.interrupted is None else int(report.interrupted),
        "seconds": round(report.seconds, 3),
        "counts": asdict(report.counts),
        "exit_code": int(exit_code),
    }


def plan_part(plan: Plan, *, show_content: bool = False) -> dict[str, Any]:
    return {
        "name": plan.name,
        "fingerprint": plan.fingerprint,
        "filtered": plan.filtered,
        "summary": _summary(plan.steps),
        "steps": [step_part(step, show_content=show_content) for step in plan.steps],
        "taken_away": [_taken(step, size) for step, size in taking_steps(plan)],
        "hosts": [_host(host, plan) for host in plan.hosts],
        "blocked": [
            {"host": item.host, "model": str(item.model), **blocked_part(item.blocked)} for item in plan.blocked
        ],
        "refused": [
            {
                "host": refusal.host,
                "code": refusal.code.id,
                "message": cleaned(refusal.message),
                "hint": cleaned(refusal.hint),
                "would": [cleaned(would) for would in refusal.would],
            }
            for refusal in plan.refused
        ],
        "unobserved": [unobserved_part(each) for each in plan.unobserved],
        "unverified": [
            {"host": host, "model": str(model), "code": Code.UNVERIFIED.id} for host, model in plan.unverified
        ],
    }


def step_part(step: Step, *, show_content: bool = False) -> dict[str, Any]:
    return {
        **step_as_json(step),
        "changes": [change_as_json(change, show=show_content) for change in step.changes],
        "listed": step.listed,
        "declared": None if step.item is None else str(step.item.place),
        "file": None if step.blob is None else cleaned(step.blob.shown),
    }


def result_part(result: StepResult) -> dict[str, Any]:
    return {
        "step": result.step.number,
        "host": result.step.host,
        "model": str(result.step.model),
        "action": result.step.action,
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "bytes": result.bytes_in,
    }


def failure_part(failure: Failure) -> dict[str, Any]:
    return {
        "host": failure.host,
        "model": None if failure.model is None else str(failure.model),
        "action": failure.action,
        "step": failure.step,
        "outcome": failure.outcome,
        "code": failure.code.id,
        "message": cleaned(failure.message),
        "told": cleaned(failure.told),
        "hint": cleaned(failure.hint),
        "retry": failure.code.retry,
    }


def blocked_part(blocked: Blocked) -> dict[str, Any]:
    return {"code": blocked.code.id, "message": cleaned(blocked.message), "hint": cleaned(blocked.hint)}


def _taken(step: Step, size: int | None) -> dict[str, Any]:
    return {
        "step": step.number,
        "host": step.host,
        "model": str(step.model),
        "action": step.action,
        "reason": step.reason,
        "digest": None if step.old is None else str(step.old),
        "bytes": size,
    }


def _summary(steps: Iterable[Step]) -> dict[str, Any]:
    each = tuple(steps)
    return {
        "actions": dict(sorted(Counter(str(step.action) for step in each).items())),
        "hosts": len({step.host for step in each}),
        "bytes_to_transfer": sum(step.bytes_in or 0 for step in each),
        "steps_of_unknown_transfer": sum(step.bytes_in is None for step in each),
        "bytes_to_free": sum(step.bytes_freed or 0 for step in each),
    }


def _host(host: HostDifference, plan: Plan) -> dict[str, Any]:
    states = Counter(str(item.state) for item in host.items)
    return {
        "host": host.host,
        "observed": host.unobserved is None,
        "suspended": plan.suspended.get(host.host),
        "items": {str(state): states[state] for state in State},
        "removals": len(host.removals),
    }


def unobserved_part(unobserved: Unobserved) -> dict[str, Any]:
    return {
        "host": unobserved.host,
        "code": unobserved.code.id,
        "message": cleaned(unobserved.message),
        "told": cleaned(unobserved.told),
        "hint": cleaned(unobserved.hint),
    }
