"""The history as people read it, and as programs do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.render.history import history_document, history_text, pass_document, pass_text, record_of
from fleet.state.history import PassRecord

AT = datetime(2026, 11, 1, 9, 30, 12, 345678, tzinfo=UTC)
CHANGED = PassRecord(12, AT, AT + timedelta(seconds=83.5), ("git", "request"), "9f3c" * 10, "changed", 2, 1, "1 failed")
RUNNING = PassRecord(13, AT + timedelta(hours=1), None, ("interval",), "", "running")

STEP = {
    "step": 1, "host": "alpha", "model": "chat:8b", "action": "pull", "reason": "missing", "old": None,
    "new": "sha256:aa", "declared": "models.yaml:3:5", "changes": [],
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "hosts": [
        {
            "type": "report",
            "steps": [STEP, {**STEP, "step": 2, "model": "old:1b", "action": "delete", "reason": "declared-absent"}],
            "results": [
                {"step": 1, "outcome": "done", "seconds": 2.25},
                {"step": 2, "outcome": "failed", "seconds": 0.5},
            ],
            "failures": [
                {
                    "step": 2,
                    "host": "alpha",
                    "code": "FLT-110",
                    "message": "the server \x1b[31mfailed",
                    "hint": "its log",
                }
            ],
            "blocked": [{"host": "alpha", "model": "big:70b", "code": "FLT-302", "message": "no room"}],
            "refused": [{"host": None, "code": "FLT-504", "message": "it shrank"}],
            "unobserved": [],
        },
        {"type": "unobserved", "host": "beta", "code": "FLT-101", "message": "refused"},
    ]
}


def test_a_list_of_passes() -> None:
    assert history_text("west", [RUNNING, CHANGED]) == (
        "PASS  BEGUN                  TOOK  OUTCOME  DONE  FAILED  BECAUSE       REVISION\n"
        "  13  2026-11-01T10:30:12Z      -  running     0       0  interval      -\n"
        "  12  2026-11-01T09:30:12Z  1m24s  changed     2       1  git, request  9f3c9f3c9f3c\n"
        "      1 failed\n"
    )


def test_no_passes() -> None:
    assert history_text("west", []) == "The history of `west` has no passes\n"


def test_one_pass_with_its_plan_and_what_came_of_it() -> None:
    assert pass_text("west", CHANGED, DOCUMENT) == (
        "Pass 12 of `west`: changed\n"
        "  begun     2026-11-01T09:30:12Z, took 1m24s\n"
        "  because   git, request\n"
        f"  revision  {'9f3c' * 10}\n"
        "  steps     2 done, 1 failed\n"
        "  1 failed\n"
        "\n"
        "alpha: pull chat:8b (missing): done in 2.2s\n"
        "alpha: delete old:1b (declared-absent): failed in 0.5s\n"
        "    the server \\x1b[31mfailed (FLT-110)\n"
        "    hint: its log\n"
        "alpha: big:70b blocked: no room (FLT-302)\n"
        "the whole pass: held back: it shrank (FLT-504)\n"
        "beta: not observed: refused (FLT-101)\n"
    )


def test_everything_tells_what_the_steps_were_about() -> None:
    assert "    declared at models.yaml:3:5\n    nothing → sha256:aa\n" in pass_text(
        "west", CHANGED, DOCUMENT, everything=True
    )


def test_a_pass_whose_plan_was_not_kept_says_so() -> None:
    assert pass_text("west", CHANGED, None).endswith("\n\nIts plan and results were not kept\n")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"hosts": 7},
        {"hosts": [1, {}, {"type": "later"}, {"steps": [{}], "results": [{}], "failures": [{}], "blocked": [{}]}]},
        {"hosts": [{"type": "unobserved"}, {"steps": [STEP], "results": [{"step": 1, "seconds": "long"}]}]},
    ],
)
def test_a_document_of_another_version_is_shown_as_far_as_it_goes(document: dict[str, Any]) -> None:
    assert pass_text("west", CHANGED, document, everything=True).startswith("Pass 12 of `west`: changed\n")


def test_documents_say_the_same_and_can_be_read_back() -> None:
    document = history_document("west", [RUNNING, CHANGED])
    assert (document["type"], document["name"]) == ("history", "west")
    assert document["passes"][0]["ended"] is None
    assert document["passes"][1] == {
        "number": 12, "begun": "2026-11-01T09:30:12Z", "ended": "2026-11-01T09:31:35Z", "seconds": 83.5,
        "triggers": ["git", "request"], "revision": "9f3c" * 10, "outcome": "changed", "done": 2, "failed": 1,
        "message": "1 failed",
    }  # fmt: skip
    one = pass_document("west", CHANGED, DOCUMENT)
    assert (one["type"], one["number"], one["hosts"]) == ("pass", 12, DOCUMENT["hosts"])
    assert pass_document("west", CHANGED, None)["hosts"] is None
    back = record_of(one)
    assert (back.number, back.triggers, back.outcome, back.message) == (12, ("git", "request"), "changed", "1 failed")
    assert back.begun == AT.replace(microsecond=0)
    assert back.ended is not None
    assert back.ended - back.begun == timedelta(seconds=83.5)
