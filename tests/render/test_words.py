"""Small things that every renderer uses: words, lists, changes, inline code."""

from __future__ import annotations

import pytest

from fleet.codes import Code
from fleet.errors import ExitCode, InputError
from fleet.manifest.item import Pull
from fleet.reconcile.difference import Change, Reason
from fleet.reconcile.report import Outcome, Report
from fleet.reconcile.step import Action, Plan
from fleet.render.changes import change_lines
from fleet.render.document import plan_part
from fleet.render.markdown import plan_markdown
from fleet.render.paint import Paint
from fleet.render.plan import plan_text, summary
from fleet.render.report import report_text
from fleet.render.report import summary as report_summary
from fleet.render.status import status_text
from fleet.render.why import source_words, why_text
from fleet.render.words import OUTCOMES, REASONS, explained, some
from fleet.render.writing import error_document
from tests.render import examples


def test_every_reason_and_outcome_has_words() -> None:
    assert set(REASONS) == set(Reason)
    assert set(OUTCOMES) == set(Outcome)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["a"], "a"),
        (list("abcdef"), "a, b, c, d, e, f"),
        (list("abcdefg"), "a, b, c, d, e and 2 more"),
    ],
)
def test_long_lists_are_cut(names: list[str], told: str) -> None:
    assert some(names) == told


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ([], ""),
        (["FLT-204", "FLT-204"], "hint: `fleet explain FLT-204` tells cause and cure"),
        (["FLT-204", "FLT-101"], "hint: `fleet explain FLT-204` tells cause and cure (also FLT-101)"),
    ],
)
def test_where_to_read_more(codes: list[str], told: str) -> None:
    assert explained(codes) == told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Change("renderer", None, "qwen3"), ["renderer: nothing → qwen3"]),
        (Change("renderer", "", "a\nb"), [r'renderer: "" → a\x0ab']),
        (Change("system", "", "hi", sensitive=True), ["system: nothing → sha256:8f434346648f (2 bytes)"]),
        (Change("system", "\ud800", None, sensitive=True), ["system: sha256:91a681b99855 (3 bytes) → nothing"]),
    ],
)
def test_changes_hide_texts(change: Change, told: list[str]) -> None:
    assert list(change_lines([change])) == told


def test_shown_content_is_cleaned_line_by_line() -> None:
    change = Change("system", "one\ntwo", f"one\n\x1b[2J{'x' * 1000}", sensitive=True)
    lines = list(change_lines([change], show_content=True))
    assert lines[:4] == ["system:", "  @@ -1,2 +1,2 @@", "   one", "  -two"]
    assert lines[4].startswith(r"  +\x1b[2Jxxx")
    assert len(lines[4]) < 420


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (examples.clean_plan(), "Nothing to do: 2 items as desired on 2 hosts"),
        (
            Plan("acme", hosts=examples.clean_plan().hosts, filtered=True),
            "Nothing to do: in the selected part: 2 items as desired on 2 hosts",
        ),
        (
            Plan("acme", hosts=(*examples.clean_plan().hosts, examples.differences()[3])),
            "No steps on the 2 hosts that could be seen; 1 host not observed",
        ),
        (Plan("acme", hosts=(examples.differences()[3],)), "No host could be seen; 1 host not observed"),
        (
            Plan("acme", hosts=examples.differences()[2:3], suspended={examples.DELTA: ""}),
            "No steps to take; 1 suspended host differs",
        ),
        (
            Plan(
                "acme", hosts=(*examples.clean_plan().hosts, examples.differences()[3]), suspended={examples.GAMMA: ""}
            ),
            "Nothing to do: 2 items as desired on 2 hosts; 1 suspended",
        ),
        (
            Plan(
                "acme",
                hosts=(*examples.clean_plan().hosts, *examples.differences()[2:]),
                suspended={examples.DELTA: "in repair"},
            ),
            "No steps on the 2 hosts that could be seen; 1 host not observed, 1 suspended host differs",
        ),
        (
            Plan("acme", hosts=examples.clean_plan().hosts, blocked=examples.full_plan().blocked),
            "No steps to take; 1 item blocked",
        ),
    ],
)
def test_nothing_to_do_is_said_only_when_all_was_seen(plan: Plan, told: str) -> None:
    assert summary(plan) == told
    assert plan_text(plan).endswith(f"{told}\n")


@pytest.mark.parametrize(
    ("interrupted", "head"), [(ExitCode.INTERRUPTED, "Interrupted: "), (ExitCode.TERMINATED, "Terminated: ")]
)
def test_an_interrupted_run_says_so(interrupted: ExitCode, head: str) -> None:
    report = examples.full_report()
    cut = Report(report.plan, report.after, report.results, report.failures, interrupted=interrupted)
    assert report_summary(cut).startswith(head)


def test_a_run_in_which_nothing_succeeded_says_so() -> None:
    report = examples.full_report()
    only_failed = tuple(result for result in report.results if result.outcome is Outcome.FAILED)
    text = report_text(Report(report.plan, report.after, only_failed, report.failures))
    assert "Finished with failures: nothing was done in 0.0s; 1 failed" in text


def test_hosts_lost_during_the_run_are_told() -> None:
    plan = examples.clean_plan()
    text = report_text(Report(plan, plan, unobserved=(examples.unobserved(examples.BETA),)))
    assert "beta: `beta` did not answer within 15s" in text
    assert "No steps on the 1 host that could be seen; 1 host not observed" in text


def test_status_of_many_hosts_is_by_model() -> None:
    plan = examples.wide_plan(100)
    desired = examples.wide_desired(plan)
    text = status_text(plan, desired, {})
    first, second, *_ = text.splitlines()
    assert (
        " ".join(first.split())
        == "MODEL CURRENT DRIFTED MISSING BLOCKED HELD-BACK UNVERIFIED TO-BE-DELETED UNKNOWN WARM"
    )
    assert " ".join(second.split()) == "qwen3:8b - - 90 - - - - 10 0 of 100"
    assert "… and 40 more; `-v` shows every item" in text
    assert text.endswith("0 of 90 items as desired on 90 hosts; 10 hosts unknown\n")
    assert len(status_text(plan, desired, {}, everything=True).splitlines()) > 120


def test_status_of_nothing() -> None:
    plan = Plan("acme", hosts=())
    assert status_text(plan, examples.desired(), {}) == "0 of 0 items as desired on 0 hosts\n"


def test_status_leaves_what_suspended_hosts_hold_out_of_its_total() -> None:
    hosts = (*examples.clean_plan().hosts, *examples.differences()[2:])
    plan = Plan("acme", hosts=hosts, suspended={examples.DELTA: "in repair", examples.GAMMA: ""})
    text = status_text(plan, examples.desired(), {})
    assert "delta  qwen3:8b" in text
    assert text.endswith("2 of 2 items as desired on 2 hosts; 2 suspended\n")


def test_what_cannot_be_proven_has_a_code_everywhere() -> None:
    plan, told = examples.full_plan(), f"({Code.UNVERIFIED.id})"
    assert f"acme/mario:latest on beta {told}" in plan_text(plan)
    assert f"`acme/mario:latest` on `beta` {told}" in plan_markdown(plan)
    assert [each["code"] for each in plan_part(plan)["unverified"]] == [Code.UNVERIFIED.id]
    (row,) = [line for line in status_text(plan, examples.desired(), {}).splitlines() if "unverified" in line]
    assert row.endswith(told)
    assert told in why_text(examples.desired().hosts[examples.BETA], plan.hosts[1], examples.MARIO)


def test_a_plain_registry_is_named() -> None:
    assert source_words(Pull(insecure=True)) == "pulled from its registry, over plain HTTP"


def test_errors_are_documents_too() -> None:
    error = InputError(f"first\n  {examples.HOSTILE}", code=Code.SETTINGS_WRONG, hint=None)
    assert error_document(error) == {
        "type": "error",
        "format": 1,
        "code": "FLT-402",
        "message": "first\n  \\x1b[31mred\\x1b[0m\nnew line \\u202etrap\\x07",
        "hint": None,
        "exit_code": 4,
    }


def test_paint_can_be_off() -> None:
    assert Paint().bad("x") == "x"
    assert Paint(on=True).by_symbol("x", "?") == "x"
    assert Paint(on=True).strong("") == ""


def test_every_action_can_be_summed_up() -> None:
    told = summary(examples.full_plan())
    assert all(f"to {action}" in told for action in Action)
