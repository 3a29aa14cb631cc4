"""Findings: the worst first, what several hosts have in common told once, and what to do about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fleet.errors import ExitCode
from fleet.names import HostName
from fleet.reconcile.doctor.finding import Finding, Severity, healthy
from fleet.render.inline import cell
from fleet.render.paint import PLAIN, Paint
from fleet.render.words import counted, name, sentence, some
from fleet.render.writing import FORMAT, cleaned

_HEADINGS = {
    Severity.PROBLEM: "Problems, which keep something from working or safe:",
    Severity.WARNING: "Warnings, to be seen to:",
    Severity.NOTE: "Notes, to be known:",
}
_HERE = "this machine"


def doctor_text(findings: Sequence[Finding], looked_at: int, *, paint: Paint = PLAIN, everything: bool = False) -> str:
    """All findings, ending with a newline. `everything` names every host instead of some."""
    lines: list[str] = []
    for severity, heading in _HEADINGS.items():
        told = list(_together(each for each in findings if each.severity is severity))
        if told:
            lines.append(_painted(heading, severity, paint))
        for finding, hosts in told:
            marks = [finding.code.id] if finding.code is not None else []
            mark = f" ({', '.join(marks)})" if marks else ""
            lines.append(f"  {_where(hosts, everything=everything)}: {sentence(finding.what)}{mark}")
            lines.append(f"      do: {sentence(finding.do)}")
        if told:
            lines.append("")
    lines.append(paint.strong(_summary(findings, looked_at)))
    return "\n".join(lines) + "\n"


def doctor_document(
    findings: Sequence[Finding], fleet: str, hosts: Iterable[HostName], exit_code: ExitCode
) -> dict[str, Any]:
    """The same for machines: every finding of every host by itself."""
    counts = Counter(finding.severity for finding in findings)
    return {
        "type": "findings",
        "format": FORMAT,
        "name": fleet,
        "hosts": list(hosts),
        "findings": [
            {
                "severity": str(finding.severity),
                "about": str(finding.about),
                "host": finding.host,
                "what": cleaned(finding.what),
                "do": cleaned(finding.do),
                "code": None if finding.code is None else finding.code.id,
                "advisory": finding.advisory,
            }
            for finding in findings
        ],
        "counts": {str(severity): counts[severity] for severity in Severity},
        "healthy": healthy(findings),
        "exit_code": int(exit_code),
    }


def doctor_markdown(findings: Sequence[Finding], looked_at: int) -> str:
    """As a table, inert wherever it is shown."""
    lines = [f"### fleet: {_summary(findings, looked_at)}", ""]
    if findings:
        lines += ["| | where | what | do | code |", "|---|---|---|---|---|"]
    for finding, hosts in _together(findings):
        mark = finding.code.id if finding.code is not None else finding.advisory or ""
        where = cell(_where(hosts, everything=False))
        lines.append(f"| {finding.severity} | {where} | {cell(finding.what)} | {cell(finding.do)} | {mark} |")
    return "\n".join(lines).rstrip("\n") + "\n"


def _together(findings: Iterable[Finding]) -> Iterator[tuple[Finding, list[HostName | None]]]:
    """Findings that differ in their host alone, with all their hosts."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.severity, finding.about, finding.what, finding.do), []).append(finding)
    for each in alike.values():
        yield each[0], [finding.host for finding in each]


def _where(hosts: Sequence[HostName | None], *, everything: bool) -> str:
    named = [name(host) for host in hosts if host is not None]
    if not named:
        return _HERE
    return ", ".join(named) if everything else some(named)


def _painted(heading: str, severity: Severity, paint: Paint) -> str:
    if severity is Severity.PROBLEM:
        return paint.bad(heading)
    return paint.warning(heading) if severity is Severity.WARNING else paint.strong(heading)


def _summary(findings: Sequence[Finding], looked_at: int) -> str:
    counts = Counter(finding.severity for finding in findings)
    parts = [counted(counts[severity], str(severity)) for severity in Severity if counts[severity]]
    found = ", ".join(parts) if parts else "nothing found"
    return f"{found[0].upper()}{found[1:]}; {counted(looked_at, 'host')} looked at"
