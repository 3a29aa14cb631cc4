"""The history of passes: numbered once, bounded, and never in a pass's way."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.state.history import History, PassRecord

AT = datetime(2026, 11, 1, 9, 30, 12, 345678, tzinfo=UTC)
DOCUMENT = {"plan": {"steps": [{"host": "alpha", "model": "Chat:8b"}]}, "results": [], "word": "\N{SNOWMAN}"}


def at(number: int) -> datetime:
    return AT + timedelta(minutes=number)


def passed(history: History, *outcomes: str) -> list[int]:
    """Passes one after the other, each with a document."""
    numbers = []
    for outcome in outcomes:
        number = history.begin(at(0), ("interval",), "9f3c")
        history.end(number, at(1), outcome, 0, 0, "", {"number": number})
        numbers.append(number)
    return numbers


def left(history: History) -> list[int]:
    return [record.number for record in history.list(100)]


def test_a_pass_is_there_from_its_begin_to_its_end(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet") as history:
        assert history.list(10) == ()
        assert history.one(1) is None
        number = history.begin(AT, ("start", "git"), "9f3c", dry_run=True)
        begun = PassRecord(1, AT, None, ("start", "git"), "9f3c", "running", dry_run=True)
        assert (number, history.list(10), history.one(1)) == (1, (begun,), (begun, None))
        history.end(number, at(2), "failed", 3, 1, "`alpha` did not answer", DOCUMENT)
    with History(str(tmp_path), "fleet") as history:
        ended = PassRecord(
            1, AT, at(2), ("start", "git"), "9f3c", "failed", 3, 1, "`alpha` did not answer", dry_run=True
        )
        assert history.list(10) == (ended,)
        assert history.one(1) == (ended, DOCUMENT)
        assert history.notes == ()


def test_fleets_count_apart(tmp_path: Path) -> None:
    with History(str(tmp_path), "one") as one, History(str(tmp_path), "two") as two:
        assert (passed(one, "changed", "changed"), passed(two, "changed")) == ([1, 2], [1])
        assert (left(one), left(two)) == ([2, 1], [1])


def test_the_newest_come_first_and_the_others_by_pages(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet") as history:
        passed(history, *["changed"] * 5)
        assert [record.number for record in history.list(2)] == [5, 4]
        assert [record.number for record in history.list(2, before=4)] == [3, 2]
        assert history.list(2, before=1) == ()
        assert history.list(0) == ()
        assert len(history.list(100, before=2**70)) == 5
        assert history.one(2**70) is None


def test_of_too_many_those_go_first_that_changed_nothing(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet") as history:
        passed(history, "changed", "unchanged", "failed", "unchanged", "unchanged")
        history.keep(5)
        assert left(history) == [5, 4, 3, 2, 1]
        history.keep(3)
        assert left(history) == [5, 3, 1], "the newest stays, whatever came of it"
        history.keep(2)
        assert left(history) == [5, 3]
        assert history.one(3) == (history.list(1, before=4)[0], {"number": 3})


def test_a_number_is_not_given_away_twice(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet") as history:
        passed(history, "changed", "unchanged")
        running = history.begin(AT, (), "")
        history.keep(1)
        assert left(history) == [running], "a pass that runs is not let go"
        history.end(running, AT, "unchanged", 0, 0, "", None)
    with History(str(tmp_path), "fleet") as history:
        assert passed(history, "changed") == [4]
        history.keep(0)
        assert passed(history, "changed") == [5]


def test_a_document_that_is_too_large_is_left_out_and_the_pass_kept(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(700_000).hex()
    with History(str(tmp_path), "fleet") as history:
        large, small = history.begin(AT, (), ""), history.begin(AT, (), "")
        history.end(large, AT, "changed", 1, 0, "", {"noise": 2 * noise})
        history.end(small, AT, "changed", 1, 0, "", {"noise": noise})
        found = history.one(large)
        assert found is not None
        assert (found[0].done, found[1]) == (1, None)
        found = history.one(small)
        assert found is not None
        assert found[1] == {"noise": noise}


def test_the_documents_of_all_passes_together_are_bounded(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet", largest_in_all=5000) as history:
        for number in range(1, 7):
            noise = {"noise": random.Random(number).randbytes(900).hex()}
            history.end(history.begin(AT, (), ""), AT, "changed", 1, 0, "", noise)
        history.keep(1000)
        assert left(history) == [6, 5, 4, 3, 2, 1]
        with_document = [number for number in left(history) if (history.one(number) or (None, None))[1] is not None]
        assert with_document == [6, 5, 4, 3], "the documents of the oldest go first"


def test_a_pass_that_never_began_cannot_end(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet") as history, pytest.raises(KeyError):
        history.end(7, AT, "changed", 0, 0, "", None)


def test_texts_that_no_file_can_hold_are_mended_and_long_ones_cut(tmp_path: Path) -> None:
    with History(str(tmp_path), "fleet") as history:
        number = history.begin(AT, ("a request",), "\ud800")
        history.end(number, AT, "failed", 0, 1, "no\udcff" + "x" * 10_000, {"\ud800": "\udcff"})
        (record,) = history.list(1)
        assert (record.triggers, record.revision) == (("a-request",), "?")
        assert record.message.startswith("no?xxx")
        assert len(record.message) == 2000
        assert history.notes == ()


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from fleet.state.history import History
history = History(sys.argv[1], "fleet")
history.begin(datetime.now(UTC), ("interval",), "9f3c")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_pass_of_a_killed_process_is_told_to_be_cut_short(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], check=False, cwd=Path(__file__).parents[2]
    ).returncode
    assert killed == -signal.SIGKILL
    with History(str(tmp_path), "fleet") as history:
        assert [record.outcome for record in history.list(10)] == ["running"]
        own = history.begin(AT, ("start",), "9f3c")
        assert history.abandoned() == 1
        assert [record.outcome for record in history.list(10)] == ["running", "cut-short"]
        history.end(own, AT, "unchanged", 0, 0, "", None)
        assert history.abandoned() == 0


def test_looking_makes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with History(str(folder), "fleet") as history:
        assert (history.list(10), history.one(1), history.abandoned()) == ((), None, 0)
    assert not folder.exists()
