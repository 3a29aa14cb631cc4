"""The end of a pass as text: what failed and why, what is left, and one summary line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fleet.codes import Code
from fleet.errors import ExitCode
from fleet.names import HostName
from fleet.reconcile.difference import HostDifference
from fleet.reconcile.report import Failure, Outcome, Report, StepResult
from fleet.reconcile.step import Action
from fleet.render.left_alone import left_alone_lines
from fleet.render.paint import PLAIN, Paint
from fleet.render.plan import summary as plan_summary
from fleet.render.words import action_of, counted, explained, failure_lines, lasted, name, sentence, some

_PAST = {
    Action.PULL: "pulled",
    Action.UPLOAD: "uploaded",
    Action.CREATE: "created",
    Action.CHECK: "checked",
    Action.COPY: "copied",
    Action.LOAD: "loaded",
    Action.RELEASE: "released",
    Action.UNLOAD: "unloaded",
    Action.DELETE: "deleted",
    Action.PUSH: "pushed",
}

_ENDED_BY = {ExitCode.TERMINATED: "Terminated", ExitCode.PARTIAL: "Ended by the deadline"}


def report_text(report: Report, *, paint: Paint = PLAIN, everything: bool = False) -> str:
    """All of a report, ending with a newline. `everything` lists the steps that went well too."""
    lines: list[str] = []
    if everything and report.results:
        lines += [paint.strong("Steps:"), *(_step_line(result) for result in report.results), ""]
    failures = failures_of(report)
    told = [failure for failure in failures if failure.outcome is not Outcome.NOT_TRIED]
    if told:
        lines.append(paint.bad("Failures:"))
        for failure in told:
            first, *rest = failure_lines(failure)
            lines.append(f"  {_where(failure)}: {first}")
            lines += [f"      {line}" for line in rest]
        lines.append("")
    untried = [failure for failure in failures if failure.outcome is Outcome.NOT_TRIED]
    if untried:
        lines += [paint.warning("Not tried:"), *_untried(untried), ""]
    seen_at_end = replace(report.plan, hosts=hosts_at_end(report))
    lines += left_alone_lines(seen_at_end, paint, everything=everything)
    codes = [failure.code.id for failure in told]
    codes += [item.blocked.code.id for item in report.plan.blocked] + [
        refused.code.id for refused in report.plan.refused
    ]
    codes += [unobserved.code.id for unobserved in report.unobserved]
    lines.append(paint.strong(summary(report)))
    if codes:
        lines += ["", explained(codes)]
    return "\n".join(lines) + "\n"


def summary(report: Report) -> str:
    """`Done: 3 pulled, 1 created on 2 hosts in 1m20s`, or how much of it was not."""
    ended = {outcome: [r for r in report.results if r.outcome is outcome] for outcome in Outcome}
    done = ended[Outcome.DONE]
    if not report.results:
        return plan_summary(replace(report.plan, hosts=hosts_at_end(report)))
    troubles = [
        f"{len(ended[outcome])} {told}"
        for outcome, told in (
            (Outcome.FAILED, "failed"),
            (Outcome.UNKNOWN, "unknown how it ended"),
            (Outcome.SUPERSEDED, "left alone since the host changed meanwhile"),
            (Outcome.NOT_TRIED, "not tried"),
        )
        if ended[outcome]
    ]
    well = [f"{len(of)} {_PAST[action]}" for action in Action if (of := [r for r in done if r.step.action is action])]
    hosts = len({result.step.host for result in done})
    first = f"{', '.join(well)} on {counted(hosts, 'host')}" if well else "nothing was done"
    left = [
        counted(report.counts.blocked, "item blocked", "items blocked") if report.counts.blocked else "",
        f"{report.counts.refused} refused by a guard" if report.counts.refused else "",
        f"{counted(len(report.unobserved), 'host')} not observed" if report.unobserved else "",
    ]
    head = "Finished with failures" if troubles or report.failures else "Done"
    if report.interrupted is not None:
        head = _ENDED_BY.get(report.interrupted, "Interrupted")
    rest = "; ".join(part for part in (", ".join(troubles), ", ".join(part for part in left if part)) if part)
    return f"{head}: {first} in {lasted(report.seconds)}{'; ' + rest if rest else ''}"


def failures_of(report: Report) -> tuple[Failure, ...]:
    """Every failure, with one for each step that ended badly and brought none of its own; by step, others last."""
    told = {failure.step for failure in report.failures}
    added = tuple(
        result.failure or _failure_of(result)
        for result in report.results
        if result.outcome is not Outcome.DONE and result.step.number not in told
    )
    of_steps = [failure for failure in (*report.failures, *added) if failure.step is not None]
    return (*sorted(of_steps, key=_number), *(failure for failure in report.failures if failure.step is None))


def _number(failure: Failure) -> int:
    return failure.step or 0


def _failure_of(result: StepResult) -> Failure:
    code = {Outcome.SUPERSEDED: Code.SUPERSEDED, Outcome.NOT_TRIED: Code.NOT_TRIED}.get(result.outcome, Code.INTERNAL)
    step = result.step
    return Failure(code, code.title, step.host, step.model, step.action, step.number, result.outcome)


def hosts_at_end(report: Report) -> tuple[HostDifference, ...]:
    """The hosts as they were planned for, those that were lost since marked as such."""
    lost = {unobserved.host: unobserved for unobserved in report.unobserved}
    return tuple(replace(host, unobserved=lost.get(host.host)) for host in report.plan.hosts)


def _where(failure: Failure) -> str:
    parts = [name(failure.host)]
    if failure.step is not None:
        parts.append(f"step {failure.step}")
    what = _what(failure)
    return ", ".join([*parts, what] if what else parts)


def _untried(failures: Sequence[Failure]) -> Iterator[str]:
    """Alike steps of several hosts are told once."""
    hosts: dict[tuple[str, str], list[HostName]] = {}
    for failure in failures:
        hosts.setdefault((_what(failure), f"{sentence(failure.message)} ({failure.code.id})"), []).append(failure.host)
    for (what, why), where in hosts.items():
        yield f"  {what} on {some(where)}: {why}"


def _what(failure: Failure) -> str:
    return " ".join(part for part in (failure.action or "", name(failure.model) if failure.model else "") if part)


def _step_line(result: StepResult) -> str:
    ended = "" if result.outcome is Outcome.DONE else f", {result.outcome}"
    return (
        f"  {result.step.number}  {name(result.step.host)}: {action_of(result.step)}{ended} in {lasted(result.seconds)}"
    )
