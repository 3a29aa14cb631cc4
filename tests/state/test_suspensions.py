"""Hosts that somebody suspended: until when, and what is left of it afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from fleet.state.suspensions import Suspension, Suspensions
from tests.state.examples import ALPHA, AT, BETA

HOUR = timedelta(hours=1)


def held(folder: Path, now: datetime) -> list[Suspension]:
    with Suspensions(str(folder), "fleet") as suspensions:
        return list(suspensions.all(now).values())


def rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "fleet.db")) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM suspensions").fetchone()
        return int(count)


def test_a_suspension_holds_until_somebody_resumes_it(tmp_path: Path) -> None:
    with Suspensions(str(tmp_path), "fleet") as suspensions:
        assert suspensions.all(AT) == {}
        suspensions.suspend(ALPHA, AT, None, "new fans \N{SNOWMAN}")
    assert held(tmp_path, AT + 10_000 * HOUR) == [Suspension(ALPHA, "new fans \N{SNOWMAN}", AT, None)]
    with Suspensions(str(tmp_path), "fleet") as suspensions:
        assert not suspensions.resume(BETA)
        assert suspensions.resume(ALPHA)
        assert not suspensions.resume(ALPHA)
    assert held(tmp_path, AT) == []


def test_a_limited_one_ends_by_itself_and_its_row_goes_with_the_next_write(tmp_path: Path) -> None:
    with Suspensions(str(tmp_path), "fleet") as suspensions:
        suspensions.suspend(ALPHA, AT, AT + HOUR, "")
        suspensions.suspend(BETA, AT, AT + 2 * HOUR, "")
        assert list(suspensions.all(AT + HOUR - timedelta(microseconds=1))) == [ALPHA, BETA]
        assert list(suspensions.all(AT + HOUR)) == [BETA]
        assert rows(tmp_path) == 2
        suspensions.suspend(BETA, AT + HOUR, None, "longer")
    assert rows(tmp_path) == 1
    assert held(tmp_path, AT + 3 * HOUR) == [Suspension(BETA, "longer", AT + HOUR, None)]


def test_what_is_over_goes_with_a_resume_too(tmp_path: Path) -> None:
    with Suspensions(str(tmp_path), "fleet") as suspensions:
        suspensions.suspend(ALPHA, AT, AT + HOUR, "")
        suspensions.suspend(BETA, AT, None, "")
        suspensions.all(AT + HOUR)
        assert suspensions.resume(BETA)
    assert rows(tmp_path) == 0
