"""Plans and reports as Markdown, for a comment on a merge request: short enough to be posted, and inert."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fleet.codes import Code
from fleet.foreign import clean
from fleet.reconcile.report import Failure, Report
from fleet.reconcile.step import Plan, Step
from fleet.render.changes import change_lines
from fleet.render.plan import summary as plan_summary
from fleet.render.report import failures_of
from fleet.render.report import summary as report_summary
from fleet.render.words import OUTCOMES, counted, replaces, some, symbol, told_of

LIMIT = 60_000
"""Characters; GitHub takes 65,536 in a comment."""

_TICKS = re.compile("`+")


def plan_markdown(plan: Plan, *, show_content: bool = False) -> str:
    """A plan: summary, steps as a table, what is taken away, what is left alone."""
    return _bounded([f"### fleet: {_prose(plan_summary(plan))}", "", *_body(plan, show_content=show_content)])


def report_markdown(report: Report, *, show_content: bool = False) -> str:
    """A report: summary, failures as a table, then the plan that was carried out, folded."""
    lines = [f"### fleet: {_prose(report_summary(report))}", ""]
    failures = failures_of(report)
    if failures:
        lines += ["| host | item | outcome | why | code |", "|---|---|---|---|---|"]
        lines += [_failure(failure) for failure in failures]
        lines.append("")
    steps = report.plan.steps
    lines += ["<details><summary>Plan</summary>", "", *_body(report.plan, show_content=show_content), "</details>"]
    return _bounded(lines if steps else lines[:-3] + lines[-2:-1])


def code(text: object, limit: int = 400) -> str:
    """Any text as inline code that nothing in it can end, also within a table."""
    cleaned = clean(str(text), limit=limit) or " "
    longest = max((len(ticks) for ticks in _TICKS.findall(cleaned)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{cleaned}{pad}{fence}".replace("|", "\\|")


def _body(plan: Plan, *, show_content: bool) -> Iterator[str]:
    if plan.steps:
        yield from ("| | host | action | model | why |", "|---|---|---|---|---|")
        for step in plan.steps:
            yield _row(step, show_content=show_content)
        yield ""
    taken = [step for step in plan.steps if replaces(step)]
    if taken:
        yield f"**{counted(len(taken), 'model is', 'models are')} deleted or replaced.**"
        yield ""
    for heading, told in _left_alone(plan):
        each = tuple(told)
        if each:
            yield f"**{heading}**"
            yield ""
            yield from (f"- {line}" for line in each)
            yield ""


def _row(step: Step, *, show_content: bool) -> str:
    why = [code(told_of(step))]
    why += [code(line) for line in change_lines(step.changes, show_content=show_content)]
    return f"| {symbol(step)} {step.number} | {code(step.host)} | {step.action} | {code(step.model)} | {'<br>'.join(why)} |"


def _failure(failure: Failure) -> str:
    item = "" if failure.model is None else code(failure.model)
    why = code(failure.message) + (f"<br>the server said {code(failure.told)}" if failure.told else "")
    return f"| {code(failure.host)} | {item} | {OUTCOMES[failure.outcome]} | {why} | {failure.code.id} |"


def _left_alone(plan: Plan) -> Iterator[tuple[str, Iterable[str]]]:
    yield (
        "Blocked",
        (f"{code(b.model)} on {code(b.host)}: {code(b.blocked.message)} ({b.blocked.code.id})" for b in plan.blocked),
    )
    yield (
        "Refused by a guard",
        (
            f"{code(r.message)} ({r.code.id})"
            + (f"; would have: {code(some(r.would, limit=20), limit=2000)}" if r.would else "")
            for r in plan.refused
        ),
    )
    yield "Not observed", (f"{code(u.host)}: {code(u.message)} ({u.code.id})" for u in plan.unobserved)
    yield "Suspended", (f"{code(host)}: {code(why) if why else ''}" for host, why in plan.suspended.items())
    yield "Not provable", (f"{code(model)} on {code(host)} ({Code.UNVERIFIED.id})" for host, model in plan.unverified)


def _prose(text: str) -> str:
    """Names of items never stand in a summary, so that only the marks of Markdown itself need escaping."""
    return re.sub(r"([\\`*_<>|#\[\]@])", r"\\\1", clean(text, limit=1000))


def _bounded(lines: list[str]) -> str:
    """As many whole lines as a comment may hold, and how many more there are."""
    length, kept = 0, 0
    for line in lines:
        length += len(line) + 1
        if length > LIMIT:
            break
        kept += 1
    if kept < len(lines):
        return "\n".join([*lines[:kept], "", f"… and {counted(len(lines) - kept, 'more line')}: see `-o json`"]) + "\n"
    return "\n".join(lines).rstrip("\n") + "\n"
