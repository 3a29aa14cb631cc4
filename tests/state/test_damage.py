"""Whatever happened to the file: what is read is what was written, or nothing, and then that is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from fleet.state.folder import StateError
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from tests.state.examples import ADOPTED, BETA, CHAT, FULL

SAMPLES = 200
"""Of half a million bits; other ones at each change of the schema, and the same ones at each run."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of two fleets, and of digests."""
    for name in ("fleet", "other"):
        with Memory(str(tmp_path), name) as memory:
            memory.record(FULL)
    return tmp_path / "fleet.db"


def written_anew(path: Path, content: bytes) -> None:
    for each in path.parent.iterdir():
        each.unlink()
    path.write_bytes(content)
    path.chmod(0o600)


def read_right_or_said(path: Path, *, then_write: bool = True) -> bool:
    """Reads, then writes and reads again; tells whether it was read right. A newer schema is said by an error."""
    with Memory(str(path.parent), "fleet") as memory:
        try:
            remembered = memory.remembered()
        except StateError:
            return False
        right = not memory.notes
        assert remembered == (FULL if right else Remembered())
        if not then_write:
            return right
        try:
            memory.keep_evidence(BETA, "http://beta", CHAT, ADOPTED)
        except StateError:
            return False
    with Memory(str(path.parent), "fleet") as memory:
        assert memory.remembered().hosts[BETA].evidence == {CHAT: ADOPTED}
        assert memory.notes == ()
        if right:
            assert memory.remembered().pushed == FULL.pushed
    return right


@pytest.mark.fault("K7")
def test_a_flipped_bit(path: Path) -> None:
    whole = path.read_bytes()
    random = Random(whole)
    right = 0
    for number, place in enumerate(random.sample(range(len(whole) * 8), SAMPLES)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        written_anew(path, bytes(content))
        right += read_right_or_said(path, then_write=number % 10 == 0)
    assert 0 < right < SAMPLES


@pytest.mark.fault("K7")
def test_a_file_cut_short_or_with_a_page_of_nothing(path: Path) -> None:
    whole = path.read_bytes()
    for start in range(0, len(whole), 4096):
        written_anew(path, whole[:start] + bytes(4096) + whole[start + 4096 :])
        read_right_or_said(path)
        for length in (start, start + 1000):
            written_anew(path, whole[:length])
            read_right_or_said(path, then_write=False)


def test_a_log_with_flipped_bits_gives_a_state_that_once_was(tmp_path: Path) -> None:
    path, log = tmp_path / "fleet.db", tmp_path / "fleet.db-wal"
    states = [Remembered(), FULL, Remembered({"a": 1}), Remembered({"b": 2})]
    with Memory(str(tmp_path), "fleet") as memory:
        for state in states[1:]:
            memory.record(state)
        whole, written = path.read_bytes(), log.read_bytes()
    random = Random(written)
    for place in random.sample(range(len(written)), 40):
        written_anew(path, whole)
        log.write_bytes(written[:place] + bytes([written[place] ^ 0x10]) + written[place + 1 :])
        with Memory(str(tmp_path), "fleet") as memory:
            assert memory.remembered() in states


EDITS: dict[str, str] = {
    "a row is gone": "DELETE FROM evidence WHERE adopted",
    "a row is of another host": "UPDATE evidence SET host = 'beta' WHERE adopted",
    "a value is another one": "UPDATE hosts SET url = 'http://alph0' WHERE host = 'alpha'",
    "a value is none": "UPDATE evidence SET base = NULL",
    "a row too many": "INSERT INTO hosts VALUES ('fleet', 'gamma', 'http://gamma', '')",
    "what it belongs to is gone": "DELETE FROM fleets",
    "its name is another one": "UPDATE fleets SET fleet = 'flee' WHERE fleet = 'fleet'",
    "a table is gone": "DROP TABLE checked",
    "a table has another column": "ALTER TABLE hosts RENAME COLUMN url TO address",
    "there is a table too many": "CREATE TABLE more (a)",
    "it is another program's": "PRAGMA application_id = 1",
    "it has no schema": "PRAGMA user_version = 0",
}


@pytest.mark.parametrize("what", EDITS)
def test_what_nobody_but_fleet_wrote_is_not_believed(what: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(EDITS[what])
    assert not read_right_or_said(path)
    assert len(list(path.parent.glob("*.set-aside-*"))) == 1


def test_damage_to_another_fleet_does_not_matter(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DELETE FROM evidence WHERE fleet = 'other'")
    assert read_right_or_said(path)


def spoilt_while_open(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE more (a)")


def rows_lost_while_open(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE fleets SET seal = seal + 1; DELETE FROM sizes")


@pytest.mark.parametrize("spoil", [spoilt_while_open, rows_lost_while_open])
def test_damage_that_a_writer_meets_costs_nothing_that_it_knows(spoil: Callable[[Path], None], path: Path) -> None:
    with Memory(str(path.parent), "fleet") as memory:
        memory.keep_evidence(BETA, "http://beta", CHAT, ADOPTED)
        known = memory.remembered()
        spoil(path)
        memory.expect_gone(BETA, "nothing/of:it")
        memory.forget_evidence(BETA, CHAT)
        memory.keep_evidence(BETA, "http://beta", CHAT, ADOPTED)
        assert memory.remembered() == known
        (note,) = memory.notes
        assert "set aside" in note
    with Memory(str(path.parent), "fleet") as memory:
        assert memory.remembered() == known
