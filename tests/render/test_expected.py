"""Each renderer's whole output, kept in `tests/cases/render` to be read; `pytest --rewrite` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.errors import ExitCode
from fleet.reconcile.report import Report
from fleet.reconcile.run import report_of
from fleet.render.document import plan_document, planned_document, report_document
from fleet.render.markdown import plan_markdown, report_markdown
from fleet.render.paint import Paint
from fleet.render.plan import plan_text
from fleet.render.report import report_text
from fleet.render.status import status_document, status_text
from fleet.render.why import why_document, why_text
from fleet.render.writing import written
from tests.conftest import CASES
from tests.render import examples

Compare = Callable[[Path, str], None]

PLAN = examples.full_plan()
REPORT = examples.full_report()
DESIRED = examples.desired()
OBSERVATIONS = examples.observations()
PARTIAL = ExitCode.PARTIAL


def _status(report: Report) -> str:
    return written(status_document(report, DESIRED, OBSERVATIONS, PARTIAL))


OUTPUTS: dict[str, Callable[[], str]] = {
    "plan.txt": lambda: plan_text(PLAN),
    "plan-with-content.txt": lambda: plan_text(PLAN, show_content=True),
    "plan-coloured.txt": lambda: plan_text(PLAN, paint=Paint(on=True)),
    "plan-of-1000-hosts.txt": lambda: plan_text(examples.wide_plan(1000)),
    "plan.md": lambda: plan_markdown(PLAN),
    "plan.json": lambda: written(plan_document(report_of(PLAN), PARTIAL)),
    "planned.json": lambda: written(planned_document(examples.clean_plan())),
    "nothing-to-do.txt": lambda: plan_text(examples.clean_plan()),
    "nothing-to-do.md": lambda: plan_markdown(examples.clean_plan()),
    "report.txt": lambda: report_text(REPORT),
    "report-with-all-steps.txt": lambda: report_text(REPORT, everything=True),
    "report-all-done.txt": lambda: report_text(examples.good_report()),
    "report.md": lambda: report_markdown(REPORT),
    "report.json": lambda: written(report_document(REPORT, PARTIAL)),
    "status.txt": lambda: status_text(PLAN, DESIRED, OBSERVATIONS),
    "status.json": lambda: _status(report_of(PLAN)),
    "why-host.txt": lambda: why_text(DESIRED.hosts[examples.ALPHA], PLAN.hosts[0]),
    "why-blocked.txt": lambda: why_text(DESIRED.hosts[examples.BETA], PLAN.hosts[1]),
    "why-unobserved.txt": lambda: why_text(DESIRED.hosts[examples.GAMMA], PLAN.hosts[3], examples.QWEN),
    "why-host.json": lambda: written(why_document(DESIRED.hosts[examples.ALPHA], PLAN.hosts[0])),
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.fault("P11")
def test_output_is_as_it_was_read(name: str, same_as_file: Compare) -> None:
    same_as_file(CASES / "render" / name, OUTPUTS[name]())


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name != "plan-coloured.txt"])
def test_nothing_in_an_output_can_act_on_a_terminal(name: str) -> None:
    text = OUTPUTS[name]()
    assert text.endswith("\n")
    acting = [letter for letter in text if letter != "\n" and (not letter.isprintable() or letter == "\u202e")]
    assert acting == []


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name.endswith(".json")])
def test_documents_say_what_they_are(name: str) -> None:
    document = json.loads(OUTPUTS[name]())
    assert document["format"] == 1
    assert document["type"] in {"plan", "planned", "report", "status", "why"}


def test_colour_only_repeats_what_words_say() -> None:
    painted = plan_text(PLAN, paint=Paint(on=True))
    plain = painted
    for code in ("\x1b[0m", *(f"\x1b[{number}m" for number in (1, 2, 31, 32, 33))):
        plain = plain.replace(code, "")
    assert plain == plan_text(PLAN)
    assert painted != plain
