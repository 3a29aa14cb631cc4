"""Damage to what stands apart costs that alone, and is said; it never stands in the way of a pass, nor of evidence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from fleet.state.apart import Apart
from fleet.state.attempts import Attempts
from fleet.state.database import Database
from fleet.state.folder import StateError
from fleet.state.good import LastGood
from fleet.state.history import History
from fleet.state.memory import Memory
from fleet.state.rows import rows_of_fleet, rows_of_host
from fleet.state.schema import STEPS
from fleet.state.suspensions import Suspension, Suspensions
from fleet.state.tables import write
from tests.state.examples import ADOPTED, ALPHA, AT, BETA, CHAT, FULL, URL
from tests.state.test_attempts import CREATE, LOOK, PULL

SAMPLES = 80


def fill(folder: Path) -> Path:
    """Something of everything, of two fleets."""
    for name in ("fleet", "other"):
        with Memory(str(folder), name) as memory:
            memory.record(FULL)
        with History(str(folder), name) as history:
            for number in range(3):
                history.end(history.begin(AT, ("git",), "9f3c"), AT, "changed", number, 0, "told", {"number": number})
        with Attempts(str(folder), name) as attempts:
            attempts.keep([PULL, CREATE, LOOK])
        with Suspensions(str(folder), name) as suspensions:
            suspensions.suspend(ALPHA, AT, None, "new fans")
            suspensions.suspend(BETA, AT, AT + timedelta(hours=1), "")
        with LastGood(str(folder), name) as good:
            good.keep("the manifests", "9f3c", AT)
    return folder / "fleet.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return fill(tmp_path)


def history_of(folder: str, name: str) -> tuple[object, list[str]]:
    with History(folder, name) as history:
        records = history.list(10)
        return [(record, history.one(record.number)) for record in records], list(history.notes)


def attempts_of(folder: str, name: str) -> tuple[object, list[str]]:
    with Attempts(folder, name) as attempts:
        return list(attempts.all()), list(attempts.notes)


def suspensions_of(folder: str, name: str) -> tuple[object, list[str]]:
    with Suspensions(folder, name) as suspensions:
        return list(suspensions.all(AT).values()), list(suspensions.notes)


def good_of(folder: str, name: str) -> tuple[object, list[str]]:
    with LastGood(folder, name) as good:
        found = good.read()
        return [] if found is None else [found], list(good.notes)


READERS: tuple[Callable[[str, str], tuple[object, list[str]]], ...] = (
    history_of,
    attempts_of,
    suspensions_of,
    good_of,
)


def all_of(folder: str, name: str = "fleet") -> list[object]:
    return [read(folder, name)[0] for read in READERS]


def work_on(folder: str) -> None:
    """What a pass writes. Whatever was there before, it works, and what it wrote is there afterwards."""
    with History(folder, "fleet") as history:
        number = history.begin(AT, ("interval",), "after")
        history.end(number, AT, "unchanged", 0, 0, "", {"after": True})
        history.abandoned()
        history.keep(2)
    with Attempts(folder, "fleet") as attempts:
        attempts.keep([LOOK])
        attempts.drop([CREATE.key])
    with LastGood(folder, "fleet") as good:
        good.keep("newer manifests", "after", AT)
    with Suspensions(folder, "fleet") as suspensions:
        suspensions.suspend(BETA, AT, None, "after")


def test_whatever_bit_is_flipped_what_is_read_was_written_or_it_is_said(path: Path) -> None:
    whole, before = path.read_bytes(), all_of(str(path.parent))
    random = Random(whole)
    apart = 0
    for number, place in enumerate(random.sample(range(len(whole) * 8), SAMPLES)):
        for each in path.parent.iterdir():
            each.unlink()
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(content))
        path.chmod(0o600)
        try:
            for read, expected in zip(READERS, before, strict=True):
                found, notes = read(str(path.parent), "fleet")
                assert isinstance(found, list)
                assert isinstance(expected, list)
                assert found == expected or notes
                if read is not history_of:  # where a pass may have lost its document
                    assert all(one in expected for one in found)
                apart += bool(notes)
            if number % 4 == 0:
                work_on(str(path.parent))
        except StateError as error:
            assert "newer version" in str(error) or "is damaged" in str(error)  # noqa: PT017  # of many, one may
    assert apart > 0


EDITS: dict[str, str] = {
    "a row of each is altered": "UPDATE passes SET done = 7 WHERE number = 2; UPDATE attempts SET tries = 9 WHERE"
    " host = 'beta'; UPDATE suspensions SET until = NULL WHERE host = 'beta'; UPDATE last_good SET revision = 'x'",
    "a value is none": "UPDATE passes SET begun = x'00' WHERE number = 2; UPDATE attempts SET next_try = 'soon' WHERE"
    " host = 'beta'; UPDATE suspensions SET since = '' WHERE host = 'beta'; UPDATE last_good SET packed = x'78'",
    "a text is none": "UPDATE passes SET message = CAST(x'ff80' AS TEXT) WHERE number = 2; UPDATE attempts SET message"
    " = CAST(x'ff' AS TEXT) WHERE host = 'beta'; UPDATE suspensions SET host = CAST(x'ff' AS TEXT) WHERE host = 'beta';"
    " UPDATE last_good SET at = CAST(x'ff' AS TEXT)",
}


@pytest.mark.parametrize("what", EDITS)
def test_a_damaged_row_costs_itself(what: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(EDITS[what])
    folder = str(path.parent)
    with History(folder, "fleet") as history:
        assert [record.number for record in history.list(10)] == [3, 1]
        assert history.one(2) is None
        assert len(history.notes) == 1
        assert history.begin(AT, (), "") == 4
        assert [record.number for record in history.list(10)] == [4, 3, 1]
    found, notes = attempts_of(folder, "fleet")
    assert (found, len(notes)) == ([CREATE, PULL], 1)
    with Suspensions(folder, "fleet") as suspensions:
        kept = Suspension(ALPHA, "new fans", AT, None)
        assert list(suspensions.all(AT).values()) == [kept]
        assert len(suspensions.notes) == 1
        suspensions.suspend(ALPHA, AT, None, "new fans")
    assert good_of(folder, "fleet")[0] == []
    work_on(folder)
    assert all(not notes for notes in (read(folder, "fleet")[1] for read in READERS)), "what was damaged is gone"
    with Memory(folder, "fleet") as memory:
        assert memory.remembered() == FULL
        assert memory.notes == ()
    assert list(path.parent.glob("*.set-aside-*")) == []


def spoilt(path: Path, tables: tuple[str, ...]) -> None:
    """Their pages hold nothing that a database could be made of."""
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        for table in tables:
            (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            content[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(bytes(content))


APART = ("passes", "pass_documents", "attempts", "suspensions", "last_good")


def test_tables_that_are_none_any_more_cost_no_evidence_and_no_pass(path: Path) -> None:
    spoilt(path, APART)
    folder = str(path.parent)
    for read in READERS:
        found, notes = read(folder, "fleet")
        assert (found, len(notes)) == ([], 1)
        assert str(path) in notes[0]
    with Memory(folder, "other") as other:
        other.forget_loaded(ALPHA, CHAT)
        work_on(folder)
        other.keep_evidence(ALPHA, URL, CHAT, ADOPTED)
        assert other.notes == ()
    with Memory(folder, "fleet") as memory:
        assert memory.remembered() == FULL
        assert memory.notes == ()
    assert [found for found in all_of(folder) if not found] == []
    assert suspensions_of(folder, "fleet") == ([Suspension(BETA, "after", AT, None)], [])


def test_without_a_file_of_ours_a_pass_has_a_number_all_the_same(path: Path) -> None:
    with History(str(path.parent), "fleet") as history:
        assert history.begin(AT, (), "") == 4
        path.write_bytes(b"remember the milk\n" * 500)
        numbers = [history.begin(AT, (), "") for _ in range(3)]
        assert numbers == [5, 6, 7]
        for number in (4, *numbers):
            history.end(number, AT, "unchanged", 0, 0, "", None)


@pytest.mark.parametrize("tables", [(), APART])
def test_who_has_the_file_open_goes_on_in_the_next_one(tables: tuple[str, ...], path: Path) -> None:
    with History(str(path.parent), "fleet") as history:
        number = history.begin(AT, ("git",), "9f3c")
        if tables:
            spoilt(path, tables)
        path.rename(path.with_name("elsewhere"))
        for beside in ("fleet.db-wal", "fleet.db-shm"):
            (path.parent / beside).unlink()
        history.end(number, AT, "changed", 2, 0, "", None)
        with History(str(path.parent), "fleet") as another:
            assert [(record.number, record.done) for record in another.list(10)] == [(4, 2)]


@pytest.mark.fault("K14")
def test_a_file_of_the_first_schema_is_brought_forward_with_all_that_it_holds(tmp_path: Path) -> None:
    # Those who wrote it knew nothing of what the third one added.
    hosts = {name: replace(host, made={}, begun={}) for name, host in FULL.hosts.items()}
    old = replace(FULL, hosts=hosts, sources={})
    first = Database(tmp_path, steps=STEPS[:1])
    with first.writing() as connection:
        rows = rows_of_fleet(old)
        for name, host in hosts.items():
            rows |= rows_of_host(name, host)
        write(connection, "fleet", rows, {}, None)
    first.close()
    folder = str(tmp_path)
    assert all_of(folder) == [[], [], [], []]
    with Memory(folder, "fleet") as memory:
        assert memory.remembered() == old, "as long as nobody writes it is read where it lies"
    assert [each.name for each in tmp_path.iterdir()] == ["fleet.db"]
    work_on(folder)
    (copy,) = [each.name for each in tmp_path.iterdir() if each.name != "fleet.db"]
    assert copy.startswith("fleet.db.version-1-2")
    with Memory(folder, "fleet") as memory:
        assert memory.remembered() == old
        assert memory.notes == ()
    assert attempts_of(folder, "fleet") == ([LOOK], [])


def test_who_keeps_rows_apart_says_what_they_are() -> None:
    for each in Apart.__subclasses__():
        assert each.what
        assert each.tables
