"""Plans and reports as Markdown, for a comment on a merge request: what is taken away first, and all of it inert."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from fleet.codes import Code
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Blocked
from fleet.reconcile.report import Failure, Report
from fleet.reconcile.step import Plan, Step
from fleet.render.changes import change_lines
from fleet.render.comment import Row, Section, comment, marker
from fleet.render.inline import cell, code, html_code, prose
from fleet.render.plan import alike, moved, steps_by_host
from fleet.render.plan import summary as plan_summary
from fleet.render.report import failures_of, hosts_at_end
from fleet.render.report import summary as report_summary
from fleet.render.taken_away import taken_away, taken_summary
from fleet.render.words import OUTCOMES, action_of, counted, some, symbol, told_of, unobserved_lines

_FOLDED = 20
"""More lines than this are folded away, to be opened by who wants to read them."""

_CHANGES = 20
"""Lines of changes shown of one step."""

_WOULD = 20
"""Steps shown of what a guard refused."""

_HALF = 0.5
_MORE = "`fleet plan` without `-o markdown` shows all of it."


def plan_markdown(plan: Plan, *, show_content: bool = False) -> str:
    """A plan: summary, what is taken away, what is left alone and why, then the steps by host."""
    return comment(
        marker("plan", plan.name),
        f"fleet: {prose(plan_summary(plan))}",
        [*_taken_away(plan), *_left_alone(plan), *_steps(plan, show_content=show_content)],
        more=_MORE,
    )


def report_markdown(report: Report, *, show_content: bool = False) -> str:
    """A report: summary, failures, what is left alone and why, then what was planned."""
    return comment(
        marker("report", report.plan.name),
        f"fleet: {prose(report_summary(report))}",
        report_sections(report, show_content=show_content),
        more=_MORE,
    )


def report_sections(report: Report, *, show_content: bool = False) -> list[Section]:
    """Failures, what is taken away, what is left alone and why, then what was planned."""
    seen_at_end = replace(report.plan, hosts=hosts_at_end(report))
    return [
        *_failures(failures_of(report)),
        *_taken_away(report.plan),
        *_left_alone(seen_at_end),
        *_steps(report.plan, show_content=show_content, folded=True),
    ]


def _taken_away(plan: Plan) -> Iterator[Section]:
    """A row for each content that goes, with the hosts that lose it, and why."""
    taken = taken_away(plan)
    rows = []
    for each, hosts in taken.items():
        held = code(each.digest.short) if each.digest else ""
        told = [each.symbol, cell(each.model), each.what, held, each.shown_size or "not known", _hosts(hosts)]
        rows.append(Row(f"| {' | '.join([*told, each.why])} |", len(hosts)))
    if rows:
        heading = f"**Deleted or replaced: {taken_summary(taken)}**"
        head = (heading, "", "| | model | what | holds now | size | on | why |", "|---|---|---|---|---|---|---|")
        yield _folding(Section(head, tuple(rows), one="model deleted or replaced", many="models deleted or replaced"))


def _steps(plan: Plan, *, show_content: bool, folded: bool = False) -> Iterator[Section]:
    """A table for each host; hosts with the same steps share one."""
    by_host = steps_by_host(plan)

    def told(step: Step) -> tuple[object, ...]:
        return symbol(step), action_of(step), told_of(step), step.number, step.changes

    groups = list(alike(by_host, told))
    folded = folded or sum(len(by_host[hosts[0]]) for hosts in groups) > _FOLDED
    for hosts in groups:
        steps = by_host[hosts[0]]
        each = " on each" if len(hosts) > 1 else ""
        what = f"{counted(len(steps), 'step')}{each}{moved(steps)}"
        if len(hosts) > 1:
            what += f"; {len(hosts)} hosts alike, numbered as on the first"
        head, foot = _heading(some(hosts), what, folded=folded)
        table = ("| | | action | model | why |", "|---|---|---|---|---|")
        rows = tuple(Row(_step(step, show_content=show_content), len(hosts)) for step in steps)
        yield Section((*head, *table), rows, foot, "step", "steps")


def _step(step: Step, *, show_content: bool) -> str:
    changes = list(change_lines(step.changes, show_content=show_content))
    why = [cell(told_of(step)), *(cell(line) for line in changes[:_CHANGES])]
    if len(changes) > _CHANGES:
        why.append(f"and {counted(len(changes) - _CHANGES, 'more line')}")
    return f"| {step.number} | {symbol(step)} | {step.action} | {cell(step.model)} | {'<br>'.join(why)} |"


def _failures(failures: Sequence[Failure]) -> Iterator[Section]:
    if failures:
        head = ("| host | item | outcome | why | code |", "|---|---|---|---|---|")
        rows = tuple(Row(_failure(failure)) for failure in failures)
        yield Section(head, rows, one="failure", many="failures", share=_HALF)


def _failure(failure: Failure) -> str:
    item = "" if failure.model is None else cell(failure.model)
    why = cell(failure.message) + (f"<br>the server said {cell(failure.told)}" if failure.told else "")
    return f"| {cell(failure.host)} | {item} | {OUTCOMES[failure.outcome]} | {why} | {failure.code.id} |"


def _left_alone(plan: Plan) -> Iterator[Section]:
    for heading, one, many, rows in (
        ("Refused by a guard", "refusal", "refusals", _refused(plan)),
        ("Blocked, left alone with what depends on it", "blocked item", "blocked items", _blocked(plan)),
        ("Not observed, so nothing is planned there", "host not observed", "hosts not observed", _unobserved(plan)),
        ("Suspended, only looked at", "suspended host", "suspended hosts", _suspended(plan)),
        ("Not provable, taken to be as desired", "item not provable", "items not provable", _unverified(plan)),
    ):
        each = tuple(rows)
        if each:
            yield _folding(Section((f"**{heading}**", ""), each, one=one, many=many))


def _refused(plan: Plan) -> Iterator[Row]:
    for refusal in plan.refused:
        lines = [f"- {code(refusal.message)} ({refusal.code.id})"]
        lines += [f"  - would: {code(would)}" for would in refusal.would[:_WOULD]]
        if len(refusal.would) > _WOULD:
            lines.append(f"  - and {len(refusal.would) - _WOULD} more")
        yield Row("\n".join([*lines, *_hint(refusal.hint)]))


def _blocked(plan: Plan) -> Iterator[Row]:
    """Alike items of several hosts are told once."""
    hosts: dict[tuple[ModelName, Blocked], list[HostName]] = {}
    for item in plan.blocked:
        hosts.setdefault((item.model, item.blocked), []).append(item.host)
    for (model, blocked), where in hosts.items():
        first = f"- {code(model)} on {_hosts(where)}: {code(blocked.message)} ({blocked.code.id})"
        yield Row("\n".join([first, *_hint(blocked.hint)]), len(where))


def _unobserved(plan: Plan) -> Iterator[Row]:
    """Each host with its reason; of very many, each reason with its hosts."""
    if len(plan.unobserved) > _FOLDED:
        by_code: dict[Code, list[HostName]] = {}
        for host in plan.unobserved:
            by_code.setdefault(host.code, []).append(host.host)
        for why, hosts in by_code.items():
            yield Row(f"- {counted(len(hosts), 'host')}: {prose(why.title)} ({why.id}): {_hosts(hosts)}", len(hosts))
        return
    for host in plan.unobserved:
        lines = [f"- {code(host.host)}: {code(host.message)} ({host.code.id})"]
        if host.told and len(unobserved_lines(host)) > 1:
            lines.append(f"  - the host said: {code(host.told)}")
        yield Row("\n".join(lines))


def _suspended(plan: Plan) -> Iterator[Row]:
    yield from (Row(f"- {code(host)}{f': {code(why)}' if why else ''}") for host, why in plan.suspended.items())


def _unverified(plan: Plan) -> Iterator[Row]:
    hosts: dict[ModelName, list[HostName]] = {}
    for host, model in plan.unverified:
        hosts.setdefault(model, []).append(host)
    for model, where in hosts.items():
        yield Row(f"- {code(model)} on {_hosts(where)} ({Code.UNVERIFIED.id})", len(where))


def _hosts(hosts: Sequence[HostName]) -> str:
    """As code, which a table and a list both take: names of hosts have letters, digits, `_`, `-` and `.`."""
    return code(some(hosts))


def _hint(hint: str | None) -> Iterable[str]:
    return [f"  - hint: {code(hint)}"] if hint else []


def _folding(section: Section) -> Section:
    """A section with its heading in bold, folded where it is long."""
    section = replace(section, share=_HALF)
    if sum(row.text.count("\n") + 1 for row in section.rows) <= _FOLDED:
        return section
    heading, *rest = section.head
    summary = f"<details><summary><b>{heading.strip('*')}</b> ({sum(row.counts for row in section.rows)})</summary>"
    return replace(section, head=(summary, *(rest or [""])), foot=("", "</details>"))


def _heading(name: str, what: str, *, folded: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands before and after a table."""
    if folded:
        return (f"<details><summary>{html_code(name)}: {what}</summary>", ""), ("", "</details>")
    return (f"**{code(name)}**: {what}", ""), ()
