"""What came of a rehearsal: the plan, what would fail, what it moves and how long that takes, memory, disk, the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fleet.errors import ExitCode
from fleet.quantities import show_duration, show_size
from fleet.reconcile.rehearsing.rehearsal import Loaded, Rehearsal
from fleet.reconcile.report import Outcome
from fleet.render.comment import Row, Section, comment, marker
from fleet.render.document import failure_part, plan_part, result_part, step_part
from fleet.render.inline import cell, code, prose
from fleet.render.markdown import report_sections
from fleet.render.paint import PLAIN, Paint
from fleet.render.plan import plan_text
from fleet.render.report import failures_of
from fleet.render.table import table
from fleet.render.words import action_of, counted, explained, failure_lines, name, sentence, some
from fleet.render.writing import FORMAT, cleaned

_SHOWN = 20
"""Hosts in a table; the rest is in the document."""


def rehearsal_text(rehearsal: Rehearsal, *, paint: Paint = PLAIN, everything: bool = False) -> str:
    """All of it, ending with a newline. `everything` also lists what would fill pages."""
    lines = [plan_text(rehearsal.report.plan, paint=paint, everything=everything)]
    for heading, block in (
        ("Would fail:", _failures(rehearsal)),
        (f"To be moved, at {_rate(rehearsal)}:", _table(_transfers(rehearsal), everything=everything)),
        ("In memory:", _table(_memory(rehearsal), everything=everything)),
        ("On disk:", _table(_disks(rehearsal), everything=everything)),
        ("Still to do after it:", _left(rehearsal)),
        ("To be known:", [f"  {sentence(note)}" for note in rehearsal.notes]),
    ):
        told = list(block)
        if told:
            lines += [paint.strong(heading), *told, ""]
    verdict = _verdict(rehearsal)
    lines.append(paint.good(verdict) if _well(rehearsal) else paint.bad(verdict))
    codes = [failure.code.id for failure in failures_of(rehearsal.report)]
    lines += ["", explained(codes)] if codes else []
    return "\n".join(lines) + "\n"


def rehearsal_document(rehearsal: Rehearsal, exit_code: ExitCode) -> dict[str, Any]:
    """The same as a document; `docs/output.md` is its reference."""
    report = rehearsal.report
    return {
        "type": "rehearsal",
        "format": FORMAT,
        "taken_at": cleaned(rehearsal.taken_at),
        **plan_part(report.plan),
        "results": [result_part(result) for result in report.results],
        "failures": [failure_part(failure) for failure in failures_of(report)],
        "converges": rehearsal.converges,
        "remaining": [step_part(step) for step in rehearsal.again.steps],
        "bandwidth": round(rehearsal.bandwidth),
        "transfers": [
            {
                "host": each.host,
                "downloads": each.downloads,
                "uploads": each.uploads,
                "seconds": round(each.seconds(rehearsal.bandwidth), 3),
            }
            for each in rehearsal.transfers
        ],
        "seconds": {
            "each_on_its_own_line": round(rehearsal.parallel, 3),
            "all_on_one_line": round(rehearsal.shared, 3),
        },
        "memory": [
            {
                "host": each.host,
                "capacity": each.capacity,
                "before": [_loaded(one) for one in each.before],
                "after": [_loaded(one) for one in each.after],
                "evicted": [_loaded(one) for one in each.evicted],
            }
            for each in rehearsal.memory
        ],
        "disks": [asdict(each) for each in rehearsal.disks],
        "notes": [cleaned(note) for note in rehearsal.notes],
        "counts": asdict(report.counts),
        "exit_code": int(exit_code),
    }


def rehearsal_markdown(rehearsal: Rehearsal) -> str:
    """For the comment on a merge request: the verdict first, and all of it inert."""
    sections = [
        _in_markdown("What it moves", _transfers(rehearsal)),
        _in_markdown("In memory", _memory(rehearsal)),
        Section(("**To be known**", ""), tuple(Row(f"- {code(note)}") for note in rehearsal.notes), one="note"),
    ]
    return comment(
        marker("rehearsal", rehearsal.report.plan.name),
        f"fleet: {prose(_verdict(rehearsal))}",
        [*(section for section in sections if section.rows), *report_sections(rehearsal.report)],
        more="`fleet rehearse` without `-o markdown` shows all of it.",
    )


def _loaded(one: Loaded) -> dict[str, Any]:
    return {"model": cleaned(one.name), "size": one.size}


def _well(rehearsal: Rehearsal) -> bool:
    report = rehearsal.report
    blocked = report.plan.blocked or report.after.blocked or report.plan.refused
    return rehearsal.converges and not failures_of(report) and not blocked


def _verdict(rehearsal: Rehearsal) -> str:
    """One line: what happens, how long it takes, whether anything is left."""
    report = rehearsal.report
    failed = sum(result.outcome is not Outcome.DONE for result in report.results)
    steps = counted(len(report.plan.steps), "step")
    parts = [steps if not failed else f"{failed} of {steps} would fail or not be tried"]
    moved = sum(each.downloads + each.uploads for each in rehearsal.transfers)
    if moved:
        parts.append(
            f"{show_size(moved)} to move, {_time(rehearsal.parallel)} if each host has a line of its own and"
            f" {_time(rehearsal.shared)} if all share one"
        )
    evicted = sum(len(each.evicted) for each in rehearsal.memory)
    parts += [f"{counted(evicted, 'model')} would be evicted from memory"] if evicted else []
    parts += [counted(len(report.plan.blocked), "item blocked", "items blocked")] if report.plan.blocked else []
    parts += [f"{len(report.plan.refused)} refused by a guard"] if report.plan.refused else []
    missed = len(report.plan.unobserved)
    parts += [f"{counted(missed, 'host')} not observed"] if missed else []
    left = counted(len(rehearsal.again.steps), "step")
    ends = "converges: nothing is left to do" if rehearsal.converges else f"does not converge: {left} left to do"
    return f"Rehearsed: {'; '.join(parts)}; {ends}"


def _failures(rehearsal: Rehearsal) -> Iterator[str]:
    for failure in failures_of(rehearsal.report):
        first, *rest = failure_lines(failure)
        what = " ".join(part for part in (failure.action or "", name(failure.model) if failure.model else "") if part)
        yield f"  {', '.join(part for part in (name(failure.host), what) if part)}: {first}"
        yield from (f"      {line}" for line in rest)


def _left(rehearsal: Rehearsal) -> Iterator[str]:
    for step in rehearsal.again.steps[:_SHOWN]:
        yield f"  {name(step.host)}: {action_of(step)} ({step.reason})"
    if len(rehearsal.again.steps) > _SHOWN:
        yield f"  and {len(rehearsal.again.steps) - _SHOWN} more"


def _transfers(rehearsal: Rehearsal) -> list[tuple[str, ...]]:
    rows = [
        (name(each.host), show_size(each.downloads), show_size(each.uploads), _time(each.seconds(rehearsal.bandwidth)))
        for each in rehearsal.transfers
    ]
    return [("HOST", "DOWNLOADS", "UPLOADS", "TIME"), *rows] if rows else []


def _memory(rehearsal: Rehearsal) -> list[tuple[str, ...]]:
    rows = [
        (
            name(each.host),
            _sum(each.before),
            _sum(each.after),
            "-" if each.capacity is None else show_size(each.capacity),
            ", ".join(f"{name(one.name)} ({show_size(one.size)})" for one in each.evicted) or "-",
        )
        for each in rehearsal.memory
    ]
    return [("HOST", "BEFORE", "AFTER", "OF", "EVICTED"), *rows] if rows else []


def _disks(rehearsal: Rehearsal) -> list[tuple[str, ...]]:
    """Of the hosts on which it changes."""
    rows = [
        (
            name(each.host),
            show_size(each.before),
            show_size(each.after),
            show_size(each.peak),
            "-" if each.capacity is None else show_size(each.capacity),
        )
        for each in rehearsal.disks
        if each.peak != each.before or each.after != each.before
    ]
    return [("HOST", "BEFORE", "AFTER", "AT MOST", "OF"), *rows] if rows else []


def _table(rows: Sequence[tuple[str, ...]], *, everything: bool) -> Iterator[str]:
    if not rows:
        return
    shown = rows if everything else rows[: _SHOWN + 1]
    yield from (f"  {line}" for line in table(shown))
    if len(rows) > len(shown):
        yield f"  and {counted(len(rows) - len(shown), 'more host', 'more hosts')}: `-v` shows all"


def _in_markdown(heading: str, rows: Sequence[tuple[str, ...]]) -> Section:
    if not rows:
        return Section((), ())
    first, *rest = rows
    head = (f"**{heading}**", "", f"| {' | '.join(first).lower()} |", "|---" * len(first) + "|")
    return Section(head, tuple(Row(f"| {' | '.join(map(cell, row))} |") for row in rest), one="host", many="hosts")


def _sum(loaded: Iterable[Loaded]) -> str:
    each = tuple(loaded)
    return f"{some([one.name for one in each], 3)} ({show_size(sum(one.size for one in each))})" if each else "-"


def _rate(rehearsal: Rehearsal) -> str:
    return f"{show_size(round(rehearsal.bandwidth))}/s"


def _time(seconds: float) -> str:
    return show_duration(seconds if seconds < 1 else float(round(seconds)))
