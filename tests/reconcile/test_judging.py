"""What counts as a good answer: one row a rule."""

from __future__ import annotations

import pytest

from fleet.manifest.item import Check, Message
from fleet.reconcile.checks.judging import Answer, Searched, judge

PROMPT = Check(prompt="Say OK.")
MATCH = Check(prompt="Say OK.", expect="(?i)ok")
JSON = Check(chat=(Message("user", "2+2?"),), json=True)
VECTOR = Check(embed="words", dimensions=3)


@pytest.mark.parametrize(
    ("check", "answer", "searched"),
    [
        pytest.param(PROMPT, Answer("anything"), None, id="any answer, where nothing is expected"),
        pytest.param(MATCH, Answer("It is OK."), Searched.FOUND, id="a match"),
        pytest.param(MATCH, Answer("OK and on and on", cut=True), Searched.FOUND, id="a match in an endless answer"),
        pytest.param(JSON, Answer('{"sum": 4}'), None, id="JSON"),
        pytest.param(JSON, Answer(" [1e400, " + "9" * 5000 + "]\n"), None, id="JSON with numbers beyond Python"),
        pytest.param(VECTOR, Answer(dimensions=3), None, id="a vector of that length"),
        pytest.param(Check(embed="words"), Answer(dimensions=7), None, id="any vector"),
    ],
)
def test_a_good_answer(check: Check, answer: Answer, searched: Searched | None) -> None:
    assert judge(check, answer, searched) is None


@pytest.mark.parametrize(
    ("check", "answer", "searched", "told"),
    [
        (PROMPT, Answer(" \n"), None, "answered nothing"),
        (PROMPT, Answer("", limited=True), None, "answered nothing (the model stopped at the length that its options allow)"),
        (MATCH, Answer("never\x1b[31m"), Searched.MISSING, "answered `never\\x1b[31m`, in which `(?i)ok` matches nothing"),
        (
            MATCH,
            Answer("on and on", cut=True),
            Searched.MISSING,
            "answered `on and on`, in which `(?i)ok` matches nothing (read as far as 64 KiB)",
        ),
        (MATCH, Answer("aaa"), Searched.TOO_SLOW, "answered `aaa`, and looking for `(?i)ok` in it took more than 5s"),
        (JSON, Answer("four"), None, "answered `four`, which is no JSON"),
        (JSON, Answer("[NaN]"), None, "answered `[NaN]`, which is no JSON"),
        (JSON, Answer("[" * 99), None, f"answered `{'[' * 99}`, which is no JSON"),
        (VECTOR, Answer(dimensions=4), None, "answered a vector of 4 dimensions, and 3 are expected"),
        (VECTOR, Answer(), None, "answered without a vector"),
        (VECTOR, Answer(dimensions=0), None, "answered without a vector"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_told(check: Check, answer: Answer, searched: Searched | None, told: str) -> None:
    assert judge(check, answer, searched) == told


def test_a_deep_answer_is_no_json_and_no_crash() -> None:
    assert judge(JSON, Answer("[" * 60_000)) is not None


def test_what_is_told_stays_short() -> None:
    long = Check(prompt="p", expect="x" * 1000)
    told = judge(long, Answer("y" * 50_000), Searched.MISSING)
    assert told is not None
    assert len(told) < 300
