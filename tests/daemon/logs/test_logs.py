"""The log as a stream of lines: forms, what may stand in them, and streams that are slow, full or gone."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import pytest

from fleet.daemon.counters import Counters
from fleet.daemon.logs import configure, configure_for

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07 \x1b[31mred\r\nfaked line \u202eright to left\u2028 \x9b2J \udc80 http://user:secret@gpu-a/?sig=abc"


def logged(json_: bool, event: str, level: str = "info", /, **fields: Any) -> str:
    """What one line looks like."""
    stream = io.StringIO()
    with configure(stream, json=json_, level="debug", clock=lambda: NOON) as log:
        getattr(log.logger, level)(event, **fields)
    return stream.getvalue()


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Descriptor of the reading end, stream of the writing end."""
    ours, theirs = os.pipe()
    with open(theirs, "w") as stream:
        yield ours, stream
    with suppress(OSError):
        os.close(ours)


def test_json_is_one_object_a_line() -> None:
    line = logged(True, "pass.finished", number=7, seconds=0.5, trigger=["interval"], at=NOON)

    assert line.endswith("}\n")
    assert json.loads(line) == {
        "timestamp": "2026-11-24T12:00:00.000+00:00", "level": "info", "event": "pass.finished", "number": 7,
        "seconds": 0.5, "trigger": ["interval"], "at": "2026-11-24T12:00:00+00:00",
    }  # fmt: skip


def test_the_console_shows_one_plain_line_an_event() -> None:
    line = logged(False, "pass.finished", number=7, revision="4f2a9c1")

    assert line.count("\n") == 1
    assert "pass.finished" in line
    assert "number=7" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("json_", [True, False])
@pytest.mark.parametrize("place", ["field", "list", "map", "key", "event", "error"])
def test_foreign_text_can_act_on_no_terminal_and_make_no_line(json_: bool, place: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "field": {"told": HOSTILE}, "list": {"told": [HOSTILE]}, "map": {"told": {"a": HOSTILE}},
        "key": {"told": {HOSTILE: 1}}, "event": {}, "error": {"exc_info": RuntimeError(HOSTILE)},
    }  # fmt: skip

    line = logged(json_, HOSTILE if place == "event" else "step.failed", **places[place])

    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    assert "secret" not in line
    assert "sig=abc" not in line
    if json_:
        found = json.loads(line)
        assert found["event"] == ("message" if place == "event" else "step.failed")


def test_long_texts_lists_and_deep_tracebacks_are_cut() -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise ValueError("at the bottom")

    with pytest.raises(ValueError, match="bottom") as caught:
        deep(200)
    error = caught.value
    line = logged(True, "step.failed", told="x" * 1_000_000, faults=["f"] * 1000, exc_info=error)

    found = json.loads(line)
    assert len(found["told"]) == 512
    assert found["faults"][-1] == "… and 980 more"
    assert len(found["raised"]) <= 20
    assert len(line) < 8192


def test_numbers_that_are_none_stay_readable_by_every_reader() -> None:
    assert json.loads(logged(True, "a.b", rate=float("nan"), most=float("inf")))["rate"] == "nan"


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    with configure(stream, json=True, level="warning") as log:
        log.logger.info("pass.finished")
        log.logger.warning("host.changed")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["host.changed"]


def test_libraries_speak_through_the_same_log_and_only_while_it_is_open() -> None:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    with configure(stream, json=True):
        logging.getLogger("asyncio").info("chatter")
        logging.getLogger("asyncio").error("task %s \x1b[31m", "broke", exc_info=ValueError("why"))
        wrong = logging.LogRecord("asyncio", logging.WARNING, "", 1, "%d", ("no number",), None)
        logging.getLogger().handlers[-1].emit(wrong)

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.items() >= {"event": "library.said", "library": "asyncio", "level": "error"}.items()
    assert first["message"] == "task broke \\x1b[31m"
    assert first["raised"] == ["ValueError: why"]
    assert second["message"] == "%d"
    assert logging.getLogger().handlers == before


@pytest.mark.fault("K13")
def test_a_pipe_that_nobody_reads_makes_nobody_wait_and_what_was_lost_is_counted_and_told(
    pipe: tuple[int, TextIO],
) -> None:
    reading, stream = pipe
    counters = Counters()
    log = configure(stream, json=True, room=50, dropped=counters.log_dropped)
    for number in range(5_000):
        log.logger.info("pass.finished", number=number, told="x" * 200)
    lost = counters.taken().dropped
    assert 0 < lost < 5_000

    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.extend(iter(lambda: os.read(reading, 65536), b"")))
    reader.start()
    assert log.close(10)
    stream.close()
    reader.join(10)

    lines = [json.loads(line) for line in b"".join(taken).splitlines()]
    told = [line["lines"] for line in lines if line["event"] == "log.dropped"]
    assert sum(told) == lost
    assert len(lines) - len(told) == 5_000 - lost
    numbers = [line["number"] for line in lines if line["event"] == "pass.finished"]
    assert numbers == sorted(numbers), "what was taken is written in order"


@pytest.mark.fault("K13")
def test_a_full_pipe_holds_up_the_end_no_longer_than_it_may(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    log = configure(stream, json=True, room=10)
    for _ in range(5_000):
        log.logger.info("pass.finished", told="x" * 200)

    assert not log.close(0.05)

    # The thread that waits is let go of: nobody will read, which ends its writing.
    os.close(reading)
    assert log.close(10)


@pytest.mark.fault("K13")
def test_a_reader_that_went_away_is_no_crash(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    counters = Counters()
    os.close(reading)
    log = configure(stream, json=True)
    log.tell_drops(counters.log_dropped)
    for _ in range(100):
        log.logger.info("pass.finished")

    assert log.close(10)
    assert counters.taken().dropped == 100


def test_a_non_blocking_stream_gets_everything(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.extend(iter(lambda: os.read(reading, 4096), b"")))
    with configure(stream, json=True) as log:
        for number in range(1_000):
            log.logger.info("pass.finished", number=number, told="x" * 200)
        reader.start()
        assert log.close(10)
    stream.close()
    reader.join(10)

    assert len(b"".join(taken).splitlines()) == 1_000


def test_the_form_follows_where_the_stream_leads(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    told = os.fstat(stream.fileno())
    with configure_for(stream, {"JOURNAL_STREAM": f"{told.st_dev}:{told.st_ino}"}) as log:
        log.logger.warning("host.changed")
    with configure_for(stream, {"JOURNAL_STREAM": "1:1"}) as log:
        log.logger.warning("host.changed")

    of_journal, of_file = os.read(reading, 65536).decode().splitlines()
    assert of_journal.startswith('<4>{"timestamp"')
    assert of_file.startswith('{"timestamp"')


@pytest.mark.parametrize(
    ("environment", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_a_terminal_gets_lines_for_people(environment: dict[str, str], coloured: bool) -> None:
    ours, theirs = os.openpty()
    try:
        with open(theirs, "w") as stream, configure_for(stream, environment) as log:
            log.logger.info("pass.finished", number=7)
            assert log.close(10)
            shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)

    assert "pass.finished" in shown
    assert not shown.startswith("{")
    assert ("\x1b[" in shown) == coloured
