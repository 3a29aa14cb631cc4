"""Every fault has an answer: a test that proves it, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.faults.document import BEGIN, END, matrix
from tests.faults.matrix import ROWS, Verdict
from tests.faults.proofs import proofs

UNPROVEN = {Verdict.DEFERRED, Verdict.ARGUED}
DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_every_row_is_proven_or_says_why_not() -> None:
    proven = proofs()
    without = [name for name, row in ROWS.items() if row.verdict not in UNPROVEN and name not in proven]
    assert without == [], "these have no test that is marked with them"
    assert [name for name, row in ROWS.items() if row.verdict in UNPROVEN and not row.why] == []


def test_no_test_proves_a_row_that_there_is_not() -> None:
    assert proofs().keys() <= ROWS.keys()


def test_few_are_left_unproven() -> None:
    assert sum(row.verdict in UNPROVEN for row in ROWS.values()) <= 12


def test_the_document_says_the_same(same_as_file: Callable[[Path, str], None]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    same_as_file(DOCUMENT, before + matrix(proofs()) + after)
