"""The file of all that is remembered: what it is, which schema it has, and what becomes of one that is none of ours."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fleet.errors import ExitCode
from fleet.state.damage import Damaged
from fleet.state.database import Database
from fleet.state.files import alone
from fleet.state.folder import StateError
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from fleet.state.schema import APPLICATION, STEPS
from tests.state.examples import FULL

NEXT = (*STEPS, ("ALTER TABLE hosts ADD COLUMN seen TEXT", "UPDATE hosts SET seen = 'never'"))
"""The schema of a fleet to come."""


def begun(folder: Path) -> Path:
    """Somebody's memory, as a run leaves it."""
    with Memory(str(folder), "fleet") as memory:
        memory.record(FULL)
    return folder / "fleet.db"


def known(folder: Path) -> Remembered:
    with Memory(str(folder), "fleet") as memory:
        return memory.remembered()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        return int(found)


def test_the_file_tells_what_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(begun(tmp_path))) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_what_is_acknowledged_is_on_disk(tmp_path: Path) -> None:
    with Database(tmp_path).writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA application_id = 7; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);")


def no_database(path: Path) -> None:
    path.write_text("remember the milk\n" * 500, encoding="utf-8")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("change", [another_programs, no_database, empty, cut_short])
def test_a_file_of_something_else_is_set_aside_and_that_is_said(change: object, tmp_path: Path) -> None:
    path = begun(tmp_path)
    if change is not cut_short:
        path.unlink()
    change(path)  # type: ignore[operator]
    content = path.read_bytes()
    with Memory(str(tmp_path), "fleet") as memory:
        assert memory.remembered() == Remembered()
        (note,) = memory.notes
        assert str(path) in note
        assert names(tmp_path) == ["fleet.db"], "a run that only reads moves nothing"
        memory.record(Remembered({"anew": 1}))
        assert memory.remembered() == Remembered({"anew": 1})
        _, note = memory.notes
    (aside,) = [each for each in names(tmp_path) if each != "fleet.db"]
    assert aside.startswith("fleet.db.set-aside-2")
    assert f"was set aside as `{aside}`" in note
    assert (tmp_path / aside).read_bytes() == content
    assert known(tmp_path) == Remembered({"anew": 1})


def test_two_that_are_set_aside_at_once_have_two_names(tmp_path: Path) -> None:
    for _ in range(3):
        no_database(tmp_path / "fleet.db")
        begun(tmp_path)
    assert len(names(tmp_path)) == 4


def test_a_log_without_its_file_is_not_taken_for_a_part_of_the_next_one(tmp_path: Path) -> None:
    with Memory(str(tmp_path), "fleet") as memory:
        memory.record(FULL)
        log = (tmp_path / "fleet.db-wal").read_bytes()
    (tmp_path / "fleet.db").unlink()
    (tmp_path / "fleet.db-wal").write_bytes(log)
    with Memory(str(tmp_path), "fleet") as memory:
        memory.record(Remembered())
        assert memory.notes == ()
    assert known(tmp_path) == Remembered()


def test_of_two_that_meet_the_same_damage_the_second_spares_what_the_first_began(tmp_path: Path) -> None:
    begun(tmp_path)
    first, second = Database(tmp_path), Database(tmp_path)
    for each in (first, second):
        with each.writing():
            pass
    for each in (first, second):
        each.begin_anew(Damaged("rows are missing"))
        with each.writing():
            pass
        each.close()
    assert [len(first.notes), len(second.notes)] == [1, 0]
    assert len([name for name in names(tmp_path) if name[-4:] not in {"-wal", "-shm"}]) == 2


@pytest.mark.fault("K18")
def test_what_a_killed_run_left_half_made_is_swept_out(tmp_path: Path) -> None:
    for left in (".fleet.db.abc", ".fleet.db.version-1-x.abc", ".other", "fleet.lock"):
        (tmp_path / left).write_bytes(b"x")
    begun(tmp_path)
    assert names(tmp_path) == [".other", "fleet.db", "fleet.lock"]


@pytest.mark.fault("K14")
def test_an_older_file_is_brought_forward_and_kept_beside(tmp_path: Path) -> None:
    path = begun(tmp_path)
    database = Database(tmp_path, steps=NEXT)
    with database.reading() as connection:
        assert connection is not None
        assert connection.execute("SELECT DISTINCT seen FROM hosts").fetchall() == [("never",)]
    assert version(path) == len(STEPS), "a reader changes nothing"
    with database.writing() as connection:
        assert connection.execute("SELECT DISTINCT seen FROM hosts").fetchall() == [("never",)]
    database.close()
    assert version(path) == len(NEXT)
    (backup,) = [each for each in tmp_path.iterdir() if each != path]
    assert backup.name.startswith(f"fleet.db.version-{len(STEPS)}-2")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    backup.rename(path)
    assert known(tmp_path) == FULL


@pytest.mark.fault("K14")
@pytest.mark.fault("K7")
def test_a_newer_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = begun(tmp_path)
    newer = Database(tmp_path, steps=NEXT)
    with newer.writing():
        pass
    newer.close()
    before = path.read_bytes(), names(tmp_path)
    with Memory(str(tmp_path), "fleet") as memory:
        for use in (memory.remembered, lambda: memory.record(FULL)):
            with pytest.raises(StateError, match="newer version of fleet") as fault:
                use()
            assert fault.value.exit_code is ExitCode.COULD_NOT_RUN
            assert "upgrade" in (fault.value.hint or "")
    assert (path.read_bytes(), names(tmp_path)) == before


@pytest.mark.fault("K14")
def test_a_run_at_work_while_fleet_is_upgraded_writes_nothing_more(tmp_path: Path) -> None:
    with Memory(str(tmp_path), "fleet") as memory:
        memory.record(FULL)
        newer = Database(tmp_path, steps=NEXT)
        with newer.writing():
            pass
        newer.close()
        with pytest.raises(StateError, match="newer version of fleet"):
            memory.record(Remembered())
        assert memory.notes == ()


@pytest.mark.fault("K14")
def test_a_step_that_fails_leaves_the_former_schema_whole(tmp_path: Path) -> None:
    begun(tmp_path)
    broken = Database(tmp_path, steps=(*STEPS, ("ALTER TABLE hosts ADD COLUMN seen TEXT", "UPDATE nowhere SET a = 1")))
    with pytest.raises(Damaged, match="nowhere"), broken.writing():
        pytest.fail("the second statement cannot be carried out")
    broken.close()
    (aside,) = tmp_path.glob("*set-aside*")
    aside.rename(tmp_path / "fleet.db")
    assert known(tmp_path) == FULL


FILLING = """
import resource, sys
from fleet.names import ModelName
from fleet.state.memory import Memory, StateError
from tests.state.examples import ALPHA, FULL, MADE, URL
memory = Memory(sys.argv[1], "fleet")
memory.record(FULL)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
kept = 0
try:
    while True:
        memory.keep_evidence(ALPHA, URL, ModelName.parse(f"m:{kept}"), MADE)
        kept += 1
except StateError as error:
    print(kept, error, error.hint, sep="|", flush=True)
assert memory.notes == ()
assert len(memory.remembered().hosts[ALPHA].evidence) == 2 + kept
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
memory.keep_evidence(ALPHA, URL, ModelName.parse("last:1"), MADE)
"""


@pytest.mark.fault("K6")
def test_a_full_disk_is_said_and_costs_nothing_that_was_recorded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLING, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    kept, error, hint = done.stdout.strip().split("|")
    assert int(kept) > 0
    assert str(tmp_path / "fleet.db") in error
    assert "space" in hint
    assert len(known(tmp_path).hosts[next(iter(FULL.hosts))].evidence) == 2 + int(kept) + 1


def test_a_writer_that_waits_in_vain_says_so(tmp_path: Path) -> None:
    one, two = Database(tmp_path), Database(tmp_path, patience=0)
    with two.writing():
        pass
    with one.writing(), pytest.raises(StateError, match="another process keeps it busy"), two.writing():
        pytest.fail("two writers at once")
    one.close()
    two.close()


RECORDING = """
import sys
from fleet.state.memory import Memory
from tests.state.examples import FULL
print("begun", flush=True)
Memory(sys.argv[1], "fleet").record(FULL)
"""


def test_a_file_is_begun_by_one_process_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path):
        process = subprocess.Popen(
            [sys.executable, "-c", RECORDING, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        assert names(tmp_path) == []
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert known(tmp_path) == FULL
