"""Digests that were worked out before: never of another version of a file, and never in anybody's way."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.state.digests import Digests
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from fleet.weights.local import Stamp
from tests.state.examples import FULL, digest

STAMP = Stamp(device=2**64 - 1, inode=2**64 - 2, size=7, mtime_ns=1_700_000_000_123_456_789, ctime_ns=-5)


def stamp(inode: int) -> Stamp:
    return replace(STAMP, inode=inode)


def test_what_was_put_is_found_by_the_next_run(tmp_path: Path) -> None:
    with Digests(str(tmp_path)) as cache:
        assert cache.get(STAMP) is None
        cache.put(STAMP, digest(1))
        assert cache.get(STAMP) == digest(1)
    with Digests(str(tmp_path)) as cache:
        assert cache.get(STAMP) == digest(1)


@pytest.mark.parametrize("field", ["device", "inode", "size", "mtime_ns", "ctime_ns"])
@pytest.mark.fault("T6", "U14")
def test_a_file_that_differs_in_anything_is_not_known(field: str, tmp_path: Path) -> None:
    other = replace(STAMP, **{field: 12})
    with Digests(str(tmp_path)) as cache:
        cache.put(STAMP, digest(1))
        assert cache.get(other) is None
        cache.put(other, digest(2))
    with Digests(str(tmp_path)) as cache:
        assert cache.get(other) == digest(2)
        same_file = field in {"size", "mtime_ns", "ctime_ns"}
        assert cache.get(STAMP) == (None if same_file else digest(1)), "a former version never comes back"


@pytest.mark.fault("T6")
def test_a_file_that_may_still_change_under_its_stamp_is_not_kept(tmp_path: Path) -> None:
    now = time.time_ns()
    second = now // 10**9 * 10**9
    young = [
        replace(STAMP, mtime_ns=now),
        replace(STAMP, ctime_ns=now),
        replace(STAMP, mtime_ns=second, ctime_ns=second),
        replace(STAMP, mtime_ns=now + 10**12),
    ]
    old = replace(STAMP, mtime_ns=now - 10**9 - 1, ctime_ns=now - 10**9 - 1)
    with Digests(str(tmp_path)) as cache:
        for each in young:
            cache.put(each, digest(1))
            assert cache.get(each) is None
        cache.put(old, digest(1))
        assert cache.get(old) == digest(1)


def test_the_oldest_go_first(tmp_path: Path) -> None:
    with Digests(str(tmp_path), most=3) as cache:
        for number in range(5):
            cache.put(stamp(number), digest(number))
            cache.keep_forms(digest(number), digest(100 + number))
        cache.put(replace(stamp(2), size=8), digest(20))
    with Digests(str(tmp_path), most=3) as cache:
        kept = [cache.get(stamp(number)) for number in range(5)]
        assert kept == [None, None, None, digest(3), digest(4)]
        assert cache.get(replace(stamp(2), size=8)) == digest(20)
        assert [len(cache.forms_of(digest(number))) for number in range(5)] == [1, 1, 2, 2, 2]


def test_forms_are_found_from_each_of_them(tmp_path: Path) -> None:
    with Digests(str(tmp_path)) as cache:
        assert cache.forms_of(digest(1)) == {digest(1)}
        cache.keep_forms(digest(1), digest(9))
        cache.keep_forms(digest(2), digest(9))
        cache.keep_forms(digest(3), digest(3))
    with Digests(str(tmp_path)) as cache:
        for number in (1, 2, 9):
            assert cache.forms_of(digest(number)) == {digest(1), digest(2), digest(9)}
        assert cache.forms_of(digest(3)) == {digest(3)}


def test_asking_makes_nothing(tmp_path: Path) -> None:
    with Digests(str(tmp_path / "state")) as cache:
        assert cache.get(STAMP) is None
        assert cache.forms_of(digest(1)) == {digest(1)}
    assert list(tmp_path.iterdir()) == []


def test_any_thread_may_ask(tmp_path: Path) -> None:
    with Digests(str(tmp_path)) as cache, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: cache.put(stamp(number), digest(number)), range(40)))
        assert list(threads.map(lambda number: cache.get(stamp(number)), range(40))) == [digest(n) for n in range(40)]


@pytest.mark.parametrize(
    "spoil",
    [
        f"UPDATE digests SET digest = '{digest(8).hex}'",
        "UPDATE digests SET digest = 'no digest'",
        "UPDATE digests SET version = '8:1700000000123456789:-5'",
        "UPDATE forms SET normalised = raw",
        "UPDATE digests SET digest = x'ff'",
    ],
)
def test_a_damaged_row_is_not_believed(spoil: str, tmp_path: Path) -> None:
    with Digests(str(tmp_path)) as cache:
        cache.put(STAMP, digest(1))
        cache.keep_forms(digest(1), digest(9))
    with closing(sqlite3.connect(tmp_path / "fleet.db")) as connection:
        connection.executescript(spoil)
    with Digests(str(tmp_path)) as cache:
        assert cache.get(STAMP) in {None, digest(1)}
        assert cache.get(replace(STAMP, size=8)) is None
        assert cache.forms_of(digest(1)) in ({digest(1)}, {digest(1), digest(9)})


def test_a_file_that_cannot_be_used_is_nobodys_trouble(tmp_path: Path) -> None:
    (tmp_path / "no-folder").write_text("", encoding="utf-8")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "fleet.db").write_text("x" * 9999, encoding="utf-8")
    for folder in ("no-folder", "damaged"):
        with Digests(str(tmp_path / folder)) as cache:
            assert cache.get(STAMP) is None
            cache.put(STAMP, digest(1))
            cache.keep_forms(digest(1), digest(9))
            assert cache.get(STAMP) == digest(1), "this run need not work it out twice"
            assert cache.forms_of(digest(9)) == {digest(1), digest(9)}
    assert [each.name for each in (tmp_path / "damaged").iterdir()] == ["fleet.db"], "what remembers sets it aside"


def test_it_lies_beside_what_is_remembered(tmp_path: Path) -> None:
    with Digests(str(tmp_path)) as cache, Memory(str(tmp_path), "fleet") as memory:
        cache.put(STAMP, digest(1))
        assert memory.remembered() == Remembered()
        memory.record(FULL)
        cache.put(stamp(5), digest(5))
        memory.record(Remembered())
    with Digests(str(tmp_path)) as cache:
        assert [cache.get(STAMP), cache.get(stamp(5))] == [digest(1), digest(5)]
