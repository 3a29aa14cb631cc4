"""How much the log says: one line a pass, one more for what changed, and nothing twice."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fleet.codes import Code
from fleet.daemon.logs import Log, PassLog, configure
from fleet.daemon.status import Condition, HostStatus, Outcome, SourceState
from fleet.names import HostName, ModelName
from fleet.reconcile.report import Failure
from fleet.reconcile.report import Outcome as StepOutcome
from fleet.reconcile.step import Action
from tests.daemon.metrics.made import GOOD, a_host, a_pass, an_item


class Written:
    """A log in memory, and what a reader of it finds."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self._log: Log = configure(self._stream, json=True)
        self.passes = PassLog(self._log.logger)

    def lines(self) -> list[dict[str, Any]]:
        """All lines so far; the log is over then."""
        assert self._log.close(10)
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    made.lines()


def failure(model: str = "qwen3:8b", code: Code = Code.DISK_FULL, **changes: Any) -> Failure:
    return replace(Failure(code, "no space left", HostName("gpu-a"), ModelName.parse(model), Action.PULL, 1), **changes)


def test_a_pass_in_which_nothing_changed_is_one_line_however_many_hosts_there_are(written: Written) -> None:
    hosts = [
        a_host(f"host-{n}", Condition.STALLED if n % 2 else Condition.READY, refusals=("held",) * (n % 2))
        for n in range(1000)
    ]
    for host in hosts:
        written.passes.host_changed(None, host)
    before = 500 * 2
    for number in range(50):
        for host in hosts:
            written.passes.host_changed(host, host)
        written.passes.pass_finished(a_pass(number), hosts)

    lines = written.lines()
    assert [line["event"] for line in lines[before:]] == ["pass.finished"] * 50


def test_the_line_of_a_pass_tells_all_that_is_asked_of_it(written: Written) -> None:
    ended = a_pass(7, Outcome.FAILED, triggers=("interval", "hook"), done=3, failed=1)
    written.passes.pass_finished(ended, [a_host("a"), a_host("b"), a_host("c", Condition.STALLED)])

    (line,) = written.lines()
    assert line.pop("timestamp")
    assert line == {
        "level": "warning", "event": "pass.finished", "number": 7, "trigger": ["interval", "hook"],
        "revision": "4f2a9c1", "outcome": "failed", "hosts": 3, "ready": 2, "stalled": 1, "done": 3, "failed": 1,
        "seconds": 3600.0,
    }  # fmt: skip


def test_a_host_is_told_of_when_its_condition_changes_and_not_when_its_items_move(written: Written) -> None:
    tell = written.passes.host_changed
    ready, busy = a_host("gpu-a"), a_host("gpu-a", Condition.PROGRESSING, an_item("qwen3:8b", Condition.PROGRESSING))
    gone = a_host("gpu-a", Condition.UNKNOWN, code=Code.NO_ANSWER, message="no answer")

    tell(None, ready)
    tell(ready, busy)
    tell(busy, replace(busy, reason="digest-differs", items=(an_item("qwen3:8b", Condition.PROGRESSING, tries=2),)))
    tell(busy, gone)
    tell(gone, replace(gone, code=Code.TLS_FAILED))
    tell(gone, ready)

    told = [(line["level"], line["condition"], line.get("code")) for line in written.lines()]
    assert told == [
        ("info", "progressing", None),
        ("warning", "unknown", "FLT-103"),
        ("warning", "unknown", "FLT-104"),
        ("info", "ready", None),
    ]


def test_a_host_that_is_bad_says_which_items_are_and_why(written: Written) -> None:
    bad = a_host(
        "gpu-a", Condition.STALLED, an_item("a:1"), an_item("b:1", Condition.STALLED, message="no space left"),
        an_item("c:1", Condition.STALLED),
    )  # fmt: skip
    written.passes.host_changed(None, bad)

    (line,) = written.lines()
    assert line["items"] == ["b:1: no space left", "c:1: missing"]


def test_the_source_is_told_of_when_it_changes_and_its_revision_is_in_every_line_after(written: Written) -> None:
    broken = replace(GOOD, state=SourceState.BROKEN, message="a.yaml:3:1: wrong\nb.yaml:1:1: wrong too")
    for source in (
        GOOD,
        GOOD,
        broken,
        broken,
        replace(broken, message="a.yaml:3:1: wrong"),
        replace(GOOD, revision="5"),
    ):
        written.passes.source_changed(source)
    written.passes.host_changed(None, a_host("gpu-a", Condition.STALLED))

    lines = written.lines()
    told = [(line["level"], line.get("state"), line["revision"], len(line.get("faults", ()))) for line in lines]
    assert told == [
        ("info", "good", "4f2a9c1", 0),
        ("warning", "broken", "4f2a9c1", 2),
        ("warning", "broken", "4f2a9c1", 1),
        ("info", "good", "5", 0),
        ("warning", None, "5", 0),
    ]


def test_a_refusal_is_told_once_until_it_changes_and_when_it_is_over(written: Written) -> None:
    def holds(*refusals: str) -> HostStatus:
        return a_host("gpu-a", refusals=refusals)

    for before, after in [(), ("7 deletes",)], [("7 deletes",), ("7 deletes",)], [("7 deletes",), ("8 deletes",)]:
        written.passes.host_changed(holds(*before), holds(*after))
    written.passes.refused(["the desired state shrank"])
    written.passes.refused(["the desired state shrank"])
    written.passes.host_changed(holds("8 deletes"), holds())

    assert [(line["event"], line.get("host"), line["refusal"]) for line in written.lines()] == [
        ("guard.refused", "gpu-a", "7 deletes"),
        ("guard.refused", "gpu-a", "8 deletes"),
        ("guard.released", "gpu-a", "7 deletes"),
        ("guard.refused", None, "the desired state shrank"),
        ("guard.released", "gpu-a", "8 deletes"),
    ]


def test_a_failure_is_told_once_until_its_reason_changes_or_the_item_was_ready(written: Written) -> None:
    progressing = a_host("gpu-a", Condition.PROGRESSING, an_item("qwen3:8b", Condition.PROGRESSING))
    ready = a_host("gpu-a", Condition.READY, an_item("qwen3:8b"))
    written.passes.host_changed(progressing, progressing)
    for _ in range(100):
        written.passes.failure(failure(message="no space left, 3 MB needed"))
        written.passes.host_changed(progressing, progressing)
    written.passes.failure(failure(code=Code.STREAM_CUT))
    written.passes.host_changed(ready, ready)
    written.passes.failure(failure(code=Code.STREAM_CUT))

    assert [line["code"] for line in written.lines()] == ["FLT-211", "FLT-203", "FLT-203"]


def test_what_was_not_tried_and_the_fortieth_failure_of_a_host_are_not_told(written: Written) -> None:
    for number in range(40):
        written.passes.failure(failure(f"m{number}:1"))
        written.passes.failure(failure(f"n{number}:1", Code.NOT_TRIED, outcome=StepOutcome.NOT_TRIED))

    assert len(written.lines()) == 10


def test_a_host_that_left_and_came_back_is_told_anew(written: Written) -> None:
    written.passes.failure(failure())
    written.passes.host_gone(HostName("gpu-a"))
    written.passes.failure(failure())

    assert len(written.lines()) == 2


def test_a_fault_of_fleet_itself_tells_places_and_no_locals(written: Written) -> None:
    def with_secret(token: str) -> None:
        raise RuntimeError(f"cannot go on at {len(token)}")

    try:
        with_secret("t0p-secret")
    except RuntimeError as error:
        written.passes.crashed("host-unit", error)

    (line,) = written.lines()
    assert line["level"] == "error"
    assert line["raised"][0] == "RuntimeError: cannot go on at 10"
    assert "with_secret" in line["raised"][1]
    assert "t0p-secret" not in json.dumps(line)
