"""The table of `docs/reliability.md`: every fault, what becomes of it, and the tests that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.faults.matrix import GROUPS, ROWS, Row, Verdict

BEGIN = "<!-- the matrix: `pytest tests/faults --rewrite` writes it -->"
END = "<!-- the end of the matrix -->"


def matrix(proofs: Mapping[str, Sequence[str]]) -> str:
    """In Markdown, from `BEGIN` to `END`."""
    return "\n".join(_lines(proofs))


def _lines(proofs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    counts = Counter(row.verdict for row in ROWS.values())
    yield BEGIN
    yield ""
    yield f"{len(ROWS)} faults: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict) + "."
    for group, rows in GROUPS.items():
        yield ""
        yield f"### {group}"
        yield ""
        yield "| | fault | | proven by |"
        yield "|---|---|---|---|"
        for row in rows:
            yield f"| {row.name} | {row.fault} | {row.verdict} | {_proven(row, proofs.get(row.name, ()))} |"
    yield ""
    yield END


def _proven(row: Row, tests: Sequence[str]) -> str:
    told = [f"`{test.removeprefix('tests/')}`" for test in tests]
    return "<br>".join([row.why] * bool(row.why) + told)
