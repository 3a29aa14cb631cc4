"""Verdicts on models: a table for people, a document for machines, a table for a merge request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fleet.errors import ExitCode
from fleet.reconcile.checks.check_all import Asked, Verdict
from fleet.render.inline import cell
from fleet.render.paint import PLAIN, Paint
from fleet.render.table import headed
from fleet.render.words import counted, lasted, name, sentence
from fleet.render.writing import FORMAT, cleaned

_WORDS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "failed",
    Verdict.NOT_ASKED: "not asked",
    Verdict.SUSPENDED: "suspended",
}
_NOTHING = "Nothing to ask: no model that is chosen has a `check`"


def checks_text(asked: Sequence[Asked], *, paint: Paint = PLAIN) -> str:
    """The table, ending with a newline."""
    if not asked:
        return f"{_NOTHING}\n"
    rows = [("HOST", "MODEL", "VERDICT", "TOOK", "WHY"), *(_row(each) for each in asked)]
    return "\n".join([*headed(rows, paint), "", paint.strong(_summary(asked))]) + "\n"


def checks_document(asked: Sequence[Asked], fleet: str, exit_code: ExitCode) -> dict[str, Any]:
    counts = Counter(each.verdict for each in asked)
    return {
        "type": "checks",
        "format": FORMAT,
        "name": fleet,
        "models": [
            {
                "host": each.host,
                "model": str(each.model),
                "verdict": str(each.verdict),
                "why": cleaned(each.why) or None,
                "code": None if each.code is None else each.code.id,
                "digest": None if each.present is None else str(each.present.digest),
                "seconds": round(each.seconds, 3),
            }
            for each in asked
        ],
        "counts": {str(verdict): counts[verdict] for verdict in Verdict},
        "exit_code": int(exit_code),
    }


def checks_markdown(asked: Sequence[Asked]) -> str:
    """Ending with a newline; inert wherever it is shown."""
    lines = [f"### fleet: {_summary(asked) if asked else _NOTHING}"]
    if asked:
        lines += ["", "| host | model | verdict | why | code |", "|---|---|---|---|---|"]
    for each in asked:
        why = cell(each.why) if each.why else ""
        mark = each.code.id if each.code is not None else ""
        lines.append(f"| {cell(each.host)} | {cell(each.model)} | {_WORDS[each.verdict]} | {why} | {mark} |")
    return "\n".join(lines) + "\n"


def asked_line(asked: Asked) -> str:
    """One verdict as it comes, for stderr."""
    took = f" in {lasted(asked.seconds)}" if asked.record is not None else ""
    return f"{name(asked.host)}: {name(asked.model)} {_WORDS[asked.verdict]}{took}\n"


def _row(asked: Asked) -> tuple[str, str, str, str, str]:
    mark = f" ({asked.code.id})" if asked.code is not None else ""
    took = lasted(asked.seconds) if asked.record is not None else "-"
    return name(asked.host), name(asked.model), _WORDS[asked.verdict], took, sentence(asked.why) + mark


def _summary(asked: Sequence[Asked]) -> str:
    counts = Counter(each.verdict for each in asked)
    return ", ".join(_parts(counts, len(asked)))


def _parts(counts: Counter[Verdict], asked: int) -> Iterator[str]:
    yield f"{counts[Verdict.PASSED]} of {counted(asked, 'model')} passed"
    if counts[Verdict.FAILED]:
        yield f"{counts[Verdict.FAILED]} failed"
    if counts[Verdict.NOT_ASKED]:
        yield f"{counts[Verdict.NOT_ASKED]} could not be asked"
    if counts[Verdict.SUSPENDED]:
        yield f"{counts[Verdict.SUSPENDED]} on suspended hosts not asked"
