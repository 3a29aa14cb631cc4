"""Why there is neither plan nor report, as Markdown: what a check tells on a merge request that is wrong as written."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.errors import FleetError
from fleet.render.comment import Row, Section, comment, marker
from fleet.render.inline import code, prose
from fleet.render.writing import cleaned_lines

_LINE = 600
"""Characters of one fault."""


def error_markdown(error: FleetError) -> str:
    """Ending with a newline: what it is called, then each of its lines, and what to do."""
    rows = tuple(_rows(cleaned_lines(str(error), _LINE)))
    hint = (f"  - hint: {code(error.hint, _LINE)}",) if error.hint else ()
    section = Section((), rows, hint, "line", "lines")
    return comment(
        marker("error", ""),
        f"fleet: {prose(error.code.title)} ({error.code.id}), exit code {int(error.exit_code)}",
        [section],
        more="The same command without `-o markdown` shows all of it.",
    )


def _rows(lines: list[str]) -> Iterator[Row]:
    """A row for each line; those that are indented belong to the one before."""
    kept: list[str] = []
    for line in lines:
        if line.startswith(" ") and kept:
            kept.append(f"  - {code(line.strip(), _LINE)}")
            continue
        if kept:
            yield Row("\n".join(kept))
        kept = [f"- {code(line.strip(), _LINE)}"]
    yield Row("\n".join(kept))
