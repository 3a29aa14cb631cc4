"""Progress: what is told while a pass runs, on terminals of any size, in logs and as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from errno import EIO
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codes import Code
from fleet.names import HostName
from fleet.reconcile.progress import Event, HostAwaited, HostSeen, StepBegun, StepEnded, StepMoved, StepRetried
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Step
from fleet.render.board import Board, fitted
from fleet.render.events import Lines
from fleet.render.live import Screen
from fleet.render.pace import Pace
from fleet.render.plain import Plain
from fleet.render.transfer import Transfer
from tests.render import examples

PULL = examples.steps()[0]
DELETE = examples.steps()[6]
GB = 1_000_000_000


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def moved(
    completed: int | None, total: int | None = 4 * GB, layer: str | None = "aaaa", step: Step = PULL
) -> StepMoved:
    return StepMoved(step, "pulling aaaa", layer, completed, total)


def failed(step: Step = PULL) -> StepEnded:
    failure = Failure(Code.STALLED, f"no bytes {examples.HOSTILE}", step.host, step.model, step.action, step.number)
    return StepEnded(StepResult(step, Outcome.FAILED, failure, 3.0))


def told(events: Iterable[tuple[float, Event]], *, everything: bool = False) -> list[str]:
    """What plain progress writes for events at seconds of a clock."""
    clock, lines = Clock(), list[str]()
    plain = Plain(lines.append, clock, interval=10, everything=everything)
    for at, event in events:
        clock.now = 100.0 + at
        plain(event)
    return "".join(lines).splitlines()


def test_a_pull_in_a_log_is_told_now_and_then() -> None:
    events: list[tuple[float, Event]] = [(0, StepBegun(PULL)), (1, moved(0))]
    events += [(second, moved(second * 100_000_000)) for second in range(2, 31)]
    events += [(31, StepEnded(StepResult(PULL, Outcome.DONE, seconds=31.2, bytes_in=4 * GB)))]
    assert told(events) == [
        "alpha: pull qwen3:8b: begun, 5 %, 200 MB of 4.0 GB, 200 MB/s, 19s left",
        "alpha: pull qwen3:8b: 30 %, 1.2 of 4.0 GB, 100 MB/s, 28s left",
        "alpha: pull qwen3:8b: 55 %, 2.2 of 4.0 GB, 100 MB/s, 18s left",
        "alpha: pull qwen3:8b: done in 31s, 4.0 GB",
    ]


def test_words_of_a_server_are_told_while_there_are_no_numbers() -> None:
    event = StepMoved(PULL, f"verifying {examples.HOSTILE}")
    lines = told([(0, StepBegun(PULL)), (11, event)])
    assert lines[0] == r"alpha: pull qwen3:8b: begun, verifying \x1b[31mred\x1b[0m\x0anew line \u202etrap\x07"


def test_retries_and_failures_are_told_at_once() -> None:
    lines = told([(0, StepBegun(PULL)), (1, StepRetried(PULL, 2, "it stalled")), (2, failed())])
    assert lines[0] == "alpha: pull qwen3:8b: try 2, because it stalled"
    assert lines[1].startswith(r"alpha: pull qwen3:8b: failed: no bytes \x1b[31mred")
    assert lines[1].endswith("(FLT-204)")


def test_what_is_over_soon_is_told_in_one_line() -> None:
    done = StepEnded(StepResult(PULL, Outcome.DONE, seconds=1.9))
    assert told([(0, StepBegun(PULL)), (1.9, moved(GB)), (1.9, done)]) == ["alpha: pull qwen3:8b: done in 1.9s"]


def test_a_step_that_ended_without_reason_is_told() -> None:
    assert told([(0, StepEnded(StepResult(DELETE, Outcome.NOT_TRIED)))]) == ["alpha: delete old:1b: not tried"]


def test_hosts_are_told_only_when_everything_is_wanted() -> None:
    unseen = HostSeen(examples.GAMMA, examples.unobserved(), 1, 2)
    seen = HostSeen(examples.ALPHA, examples.observed(), 2, 2)
    assert told([(0, unseen), (1, seen)]) == []
    assert told([(0, unseen), (1, seen)], everything=True) == [
        "gamma: not observed: `gamma` did not answer within 15s: http://gamma:11434 (FLT-103)",
        "alpha: seen, Ollama 0.12.6 with 1 model",
    ]


def test_looking_at_many_hosts_is_told_now_and_then() -> None:
    events = [(number / 10, HostSeen(examples.ALPHA, examples.observed(), number, 250)) for number in range(1, 251)]
    assert told(events) == ["looked at 101 of 250 hosts", "looked at 201 of 250 hosts"]


def awaited(host: HostName, left: float) -> HostAwaited:
    return HostAwaited(host, examples.unobserved(host), left)


def test_hosts_that_start_together_are_told_in_one_line_now_and_then() -> None:
    events = [
        (float(second), awaited(host, 60.0 - second))
        for second in range(12)
        for host in (examples.ALPHA, examples.BETA)
    ]
    not_yet = "not yet: `alpha` did not answer within 15s: http://alpha:11434 (FLT-103); asked again for up to"
    assert told(events) == [f"alpha: {not_yet} 1m", f"alpha: {not_yet} 50s"]


def test_json_lines_about_hosts_that_are_awaited_are_paced_by_host() -> None:
    got = lines((second / 2, awaited(host, 60.0)) for second in range(21) for host in (examples.ALPHA, examples.BETA))
    assert [(line["host"], line["elapsed"]) for line in got] == [("alpha", 0), ("beta", 0), ("alpha", 10), ("beta", 10)]
    assert (got[0]["type"], got[0]["code"], got[0]["left"]) == ("host-awaited", "FLT-103", 60)


def test_the_rate_falls_when_nothing_comes_any_more() -> None:
    transfer = Transfer(PULL, 0.0)
    transfer.moved(moved(0), 0.0)
    transfer.moved(moved(100), 1.0)
    assert transfer.rate(1.0) == 100
    assert transfer.rate(10.0) == 10
    assert transfer.left(1.0) == (4 * GB - 100) / 100


def test_the_rate_is_of_the_last_seconds() -> None:
    transfer = Transfer(PULL, 0.0)
    for second in range(60):
        transfer.moved(moved(second if second < 30 else 30 + (second - 30) * 1000), float(second))
    assert transfer.rate(59.0) == pytest.approx(1000)


def test_layers_are_added_up_and_the_running_one_is_named() -> None:
    transfer = Transfer(PULL, 0.0)
    transfer.moved(moved(3 * GB, 3 * GB, "aaaa"), 0.0)
    transfer.moved(moved(GB // 2, GB, "bbbb"), 1.0)
    assert (transfer.completed, transfer.total) == (3 * GB + GB // 2, 4 * GB)
    assert transfer.told(1.0, with_layer=True).endswith("layer bbbb 500 MB of 1.0 GB")


@pytest.mark.fault("S12")
def test_a_layer_without_a_total_gives_no_share() -> None:
    transfer = Transfer(PULL, 0.0)
    transfer.moved(moved(5, None), 0.0)
    assert (transfer.share, transfer.left(0.0)) == (None, None)
    assert transfer.told(0.0) == "pulling aaaa"


def test_a_taken_up_download_measures_its_rate_anew() -> None:
    transfer = Transfer(PULL, 0.0)
    transfer.moved(moved(0), 0.0)
    transfer.moved(moved(GB), 1.0)
    transfer.began_again()
    assert transfer.rate(2.0) is None


def running(board: Board, steps: int, now: float = 0.0) -> None:
    for number in range(steps):
        step = replace(PULL, number=number + 1, host=HostName(f"host-{number:04}"))
        board.take(StepBegun(step), now + number)
        board.take(moved(number * GB // steps, step=step), now + number)


def test_a_wide_terminal_shows_bar_bytes_and_layer() -> None:
    board = Board(2)
    running(board, 1)
    board.take(moved(GB, 2 * GB, "bbbb", step=replace(PULL, host=HostName("host-0000"))), 2.0)
    assert board.lines(120, 10, 4.0) == [
        "host-0000: pull qwen3:8b  ███░░░░░░░░░░░░░░░░░  16 %, 1.0 of 6.0 GB, 250 MB/s, 20s left, layer bbbb 1.0 of 2.0 GB",
        "0 of 2 steps done, 1 running",
    ]


def test_a_narrow_terminal_keeps_the_numbers() -> None:
    board = Board(1)
    running(board, 1)
    board.take(moved(GB, step=replace(PULL, host=HostName("a-host-with-a-very-long-name"))), 1.0)
    assert board.lines(40, 10, 2.0)[0].endswith("25 %")
    assert len(board.lines(40, 10, 2.0)[0]) <= 40


@given(
    steps=st.integers(0, 60),
    width=st.integers(0, 200),
    height=st.integers(0, 60),
)
def test_no_terminal_is_overfilled(steps: int, width: int, height: int) -> None:
    board = Board(steps)
    running(board, steps)
    lines = board.lines(width, height, 100.0)
    assert 1 <= len(lines) <= max(height, 1)
    assert all(len(line) <= max(width, 8) for line in lines)


def test_a_thousand_hosts_are_summed_up() -> None:
    board = Board(1000)
    running(board, 1000)
    lines = board.lines(80, 10, 2000.0)
    assert len(lines) == 10
    assert lines[-2:] == ["… and 992 more", "0 of 1000 steps done, 1000 running"]


def test_the_board_tells_what_ended_and_forgets_it() -> None:
    board = Board(2)
    assert board.lines(80, 5, 0.0) == ["looking at the hosts"]
    board.take(HostSeen(examples.ALPHA, examples.observed(), 1, 3), 0.0)
    assert board.lines(80, 5, 0.0) == ["looked at 1 of 3 hosts"]
    board.take(StepBegun(PULL), 1.0)
    assert board.take(StepRetried(PULL, 2, "it stalled"), 2.0) == "alpha: pull qwen3:8b: try 2, because it stalled"
    line = board.take(StepEnded(StepResult(PULL, Outcome.DONE, seconds=3.0)), 3.0)
    assert line == "alpha: pull qwen3:8b: done in 3.0s"
    board.take(failed(DELETE), 4.0)
    assert board.lines(80, 5, 5.0) == ["1 of 2 steps done, 0 running, 1 not done"]


@pytest.mark.fault("S6")
def test_a_server_that_works_without_a_word_is_shown_to_be_waited_for() -> None:
    board = Board(1)
    board.take(StepBegun(PULL), 0.0)
    board.take(StepMoved(PULL, "verifying sha256 digest"), 5.0)
    assert board.lines(80, 5, 14.0)[0] == "alpha: pull qwen3:8b  verifying sha256 digest"
    assert board.lines(80, 5, 65.0)[0] == "alpha: pull qwen3:8b  verifying sha256 digest, silent for 1m"
    board.take(moved(4 * GB), 70.0)
    assert "silent" not in board.lines(120, 5, 71.0)[0]
    assert board.lines(120, 5, 1505.0)[0].endswith("100 %, 4.0 of 4.0 GB, silent for 23m55s")


def test_a_step_without_numbers_is_shown_by_the_words_of_the_server() -> None:
    board = Board(1)
    board.take(StepBegun(PULL), 0.0)
    assert board.lines(80, 5, 0.0)[0] == "alpha: pull qwen3:8b"
    board.take(StepMoved(PULL, "pulling manifest"), 0.0)
    assert board.lines(80, 5, 0.0)[0] == "alpha: pull qwen3:8b  pulling manifest"


def test_what_is_cut_ends_in_an_ellipsis() -> None:
    assert fitted("abcdef", 6) == "abcdef"
    assert fitted("abcdefg", 6) == "abcde…"


def test_the_screen_keeps_what_ended_and_gives_the_terminal_back() -> None:
    stream, clock = StringIO(), Clock()
    with Screen(stream, clock, steps=1, colour=False) as screen:
        screen(StepBegun(PULL))
        screen(moved(GB))
        screen(failed())
        screen.say("stopping\n")
    screen.close()
    written = stream.getvalue()
    assert r"failed: no bytes \x1b[31mred" in written
    assert "stopping\n" in written
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert written.count(hide) == written.count(show) == 1
    assert written.index(hide) < written.index(show)


def test_a_terminal_that_went_away_breaks_nothing_off() -> None:
    class Gone(StringIO):
        def write(self, _: str) -> int:
            raise OSError(EIO, "the terminal is gone")

        def flush(self) -> None:
            raise OSError(EIO, "the terminal is gone")

    with Screen(Gone(), Clock(), steps=1, colour=False) as screen:
        screen(StepBegun(PULL))
        screen(failed())
        screen.say("stopping\n")


def lines(events: Iterable[tuple[float, Event]]) -> list[dict[str, object]]:
    clock, texts = Clock(), list[str]()
    writer = Lines(texts.append, clock, interval=1.0)
    for at, event in events:
        clock.now = 100.0 + at
        writer(event)
    return [json.loads(line) for line in "".join(texts).splitlines()]


def test_json_lines_carry_type_format_and_time() -> None:
    events: list[tuple[float, Event]] = [
        (0.25, HostSeen(examples.ALPHA, examples.observed(), 1, 2)),
        (0.5, HostSeen(examples.GAMMA, examples.unobserved(), 2, 2)),
        (1, StepBegun(PULL)),
        (2, moved(GB)),
        (3, StepRetried(PULL, 2, examples.HOSTILE)),
        (4, failed()),
        (5, StepEnded(StepResult(DELETE, Outcome.DONE, seconds=0.5))),
    ]
    got = lines(events)
    assert [line["type"] for line in got] == [
        "host-seen", "host-seen", "step-begun", "step-moved", "step-retried", "step-ended", "step-ended",
    ]  # fmt: skip
    assert {line["format"] for line in got} == {1}
    assert [line["elapsed"] for line in got] == [0.25, 0.5, 1, 2, 3, 4, 5]
    seen, unseen, begun, move, retried, ended, done = got
    assert (seen["version"], seen["models"], seen["observed"]) == ("0.12.6", 1, True)
    assert (unseen["code"], unseen["observed"]) == ("FLT-103", False)
    assert (begun["step"], begun["model"], begun["action"], begun["reason"]) == (1, "qwen3:8b", "pull", "missing")
    assert (move["completed"], move["total"], move["layer"]) == (GB, 4 * GB, "aaaa")
    assert (retried["attempt"], retried["because"]) == (2, r"\x1b[31mred\x1b[0m\x0anew line \u202etrap\x07")
    assert isinstance(ended["failure"], dict)
    assert (ended["outcome"], ended["failure"]["code"]) == ("failed", "FLT-204")
    assert (done["outcome"], done["failure"]) == ("done", None)


def test_json_lines_of_one_step_are_paced() -> None:
    other = replace(PULL, number=2, host=examples.BETA)
    events: list[tuple[float, Event]] = []
    for tenth in range(31):
        events += [(tenth / 10, moved(tenth)), (tenth / 10, moved(tenth, step=other))]
    got = lines(events)
    assert [line["completed"] for line in got if line["host"] == "alpha"] == [0, 10, 20, 30]
    assert len(got) == 8


def test_pace_lets_each_kind_through_once_an_interval() -> None:
    pace = Pace(5)
    assert [pace.due("a", now) for now in (0, 4, 5, 9, 10)] == [True, False, True, False, True]
    assert pace.due("b", 4)
    pace.forget("a")
    assert pace.due("a", 11)


def test_pace_may_make_the_first_wait() -> None:
    pace = Pace(5, first=False)
    assert [pace.due("a", now) for now in (0, 4, 5)] == [False, False, True]
