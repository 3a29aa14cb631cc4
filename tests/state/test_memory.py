"""What passes leave for the next ones: it comes back as it was, whoever else is at work and whoever is killed."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.names import HostName, ModelName
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered, Remembered
from tests.state.examples import ADOPTED, ALPHA, ASKED, BETA, CHAT, FULL, MADE, PUBLISHED, TUNED, URL, digest

GAMMA = HostName("gamma")
NEW = ModelName.parse("new:1")


def host(**changes: object) -> Remembered:
    """`FULL`, with these fields of alpha."""
    return replace(FULL, hosts={**FULL.hosts, ALPHA: replace(FULL.hosts[ALPHA], **changes)})  # type: ignore[arg-type]


def known(folder: Path, name: str = "fleet") -> Remembered:
    """As another run reads it; nothing is wrong with the file."""
    with Memory(str(folder), name) as memory:
        remembered = memory.remembered()
        assert memory.notes == ()
        return remembered


def begun(folder: Path) -> Memory:
    memory = Memory(str(folder), "fleet")
    memory.record(FULL)
    return memory


def test_what_was_recorded_is_remembered_in_order_and_spelling(tmp_path: Path) -> None:
    begun(tmp_path)
    read = known(tmp_path)
    assert read == FULL
    assert list(read.items) == list(FULL.items), "the last scopes are those that stay"
    assert sorted(map(str, read.hosts[ALPHA].evidence)) == ["acme/Chat:8b", "registry.example/acme/tuned:1"]


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert known(tmp_path / "nowhere" / "state") == Remembered()
    (tmp_path / "state").mkdir()
    assert known(tmp_path / "state") == Remembered()
    assert [each.name for each in tmp_path.rglob("*")] == ["state"]


def test_fleets_of_one_file_keep_apart(tmp_path: Path) -> None:
    with Memory(str(tmp_path), "one") as one, Memory(str(tmp_path), "Ö/../two\0") as two:
        one.record(FULL)
        two.record(Remembered({"scope": 1}))
        one.keep_pushed(TUNED, PUBLISHED)
    assert known(tmp_path, "one").pushed == {CHAT: PUBLISHED, TUNED: PUBLISHED}
    assert known(tmp_path, "Ö/../two\0") == Remembered({"scope": 1})
    assert known(tmp_path, "three") == Remembered()


def test_folders_and_files_are_private_and_nothing_is_left_beside(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "by-fleet"
    with begun(folder):
        assert {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {
            "fleet.db": 0o600, "fleet.db-wal": 0o600, "fleet.db-shm": 0o600,
        }  # fmt: skip
    known(folder)
    assert [each.name for each in folder.iterdir()] == ["fleet.db"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in (folder.parent, folder)] == [0o700, 0o700]


WRITERS: dict[str, tuple[Callable[[Memory], None], Remembered]] = {
    "evidence": (lambda m: m.keep_evidence(ALPHA, URL, NEW, MADE), host(evidence={CHAT: MADE, TUNED: ADOPTED, NEW: MADE})),
    "other evidence": (
        lambda m: m.keep_evidence(ALPHA, URL, CHAT, replace(MADE, digest=digest(9))),
        host(evidence={CHAT: replace(MADE, digest=digest(9)), TUNED: ADOPTED}),
    ),
    "no evidence": (lambda m: m.forget_evidence(ALPHA, CHAT), host(evidence={TUNED: ADOPTED})),
    "checked": (lambda m: m.keep_checked(ALPHA, URL, TUNED, ASKED), host(checked={CHAT: ASKED, TUNED: ASKED})),
    "pushed": (
        lambda m: m.keep_pushed(CHAT, replace(PUBLISHED, host=BETA)),
        replace(FULL, pushed={CHAT: replace(PUBLISHED, host=BETA)}),
    ),
    "borrowed": (lambda m: m.borrow(ALPHA, URL, NEW), host(borrowed=FULL.hosts[ALPHA].borrowed | {NEW})),
    "given back": (
        lambda m: m.give_back(ALPHA, ModelName.parse("fleet-backup/Chat-0123456789AB:8b")), host(borrowed=frozenset())
    ),
    "loaded": (
        lambda m: m.keep_loaded(ALPHA, URL, CHAT, {"num_gpu": 1}), host(loaded={CHAT: {"num_gpu": 1}, TUNED: {}})
    ),
    "not loaded": (
        lambda m: m.forget_loaded(ALPHA, TUNED), host(loaded={CHAT: FULL.hosts[ALPHA].loaded[CHAT]})
    ),
    "expected gone": (
        lambda m: m.expect_gone(ALPHA, CHAT.key), host(models=FULL.hosts[ALPHA].models - {CHAT.key})
    ),
    "a first host": (
        lambda m: m.borrow(GAMMA, "http://gamma", NEW),
        replace(FULL, hosts={**FULL.hosts, GAMMA: HostRemembered("http://gamma", borrowed=frozenset({NEW}))}),
    ),
    "another machine": (
        lambda m: m.keep_loaded(ALPHA, "http://elsewhere", CHAT, {}),
        replace(FULL, hosts={**FULL.hosts, ALPHA: HostRemembered("http://elsewhere", loaded={CHAT: {}})}),
    ),
    "evidence of an unknown host": (lambda m: m.forget_evidence(GAMMA, CHAT), FULL),
    "a name that was not borrowed": (lambda m: m.give_back(BETA, CHAT), FULL),
    "a name that is not listed": (lambda m: m.expect_gone(BETA, CHAT.key), FULL),
    "fewer hosts": (
        lambda m: m.record(replace(FULL, hosts={BETA: FULL.hosts[BETA]})), replace(FULL, hosts={BETA: FULL.hosts[BETA]})
    ),
    "nothing": (lambda m: m.record(Remembered()), Remembered()),
}  # fmt: skip


@pytest.mark.parametrize("what", WRITERS)
def test_each_writer_writes_its_own_and_nothing_else(what: str, tmp_path: Path) -> None:
    write, expected = WRITERS[what]
    memory = begun(tmp_path)
    write(memory)
    assert memory.remembered() == expected
    assert known(tmp_path) == expected, "read while the first one is still open"
    memory.close()
    assert known(tmp_path) == expected


def test_a_run_writes_upon_what_another_one_wrote_since_it_read(tmp_path: Path) -> None:
    with begun(tmp_path) as first, Memory(str(tmp_path), "fleet") as second:
        second.remembered()
        first.keep_evidence(ALPHA, URL, NEW, MADE)
        second.keep_checked(BETA, "http://beta", NEW, ASKED)
    read = known(tmp_path)
    assert read.hosts[ALPHA].evidence[NEW] == MADE
    assert read.hosts[BETA].checked == {NEW: ASKED}


def test_a_reader_is_not_disturbed_by_a_writer_in_the_middle(tmp_path: Path) -> None:
    from fleet.state.database import Database

    begun(tmp_path).close()
    database = Database(tmp_path)
    with database.writing() as connection:
        connection.execute("DELETE FROM hosts")
        connection.execute("DELETE FROM evidence")
        assert known(tmp_path) == FULL
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
    database.close()


WRITER = """
import sys, time
from tests.state.examples import ALPHA, MADE, URL
from fleet.names import ModelName
from fleet.state.memory import Memory
memory = Memory(sys.argv[1], sys.argv[2])
for number in range(int(sys.argv[3])):
    memory.keep_evidence(ALPHA, URL, ModelName.parse(f"{sys.argv[2]}:{number}"), MADE)
    print(number, flush=True)
sys.stdin.read()
"""


def writer(folder: Path, name: str, rows: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(rows)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_what_was_acknowledged_outlives_a_killed_process(tmp_path: Path) -> None:
    with writer(tmp_path, "fleet", 100_000) as process:
        assert process.stdout is not None
        while (last := int(process.stdout.readline())) < 20:
            pass
        process.kill()
    assert (tmp_path / "fleet.db-wal").exists(), "it was killed while the file was open"
    kept = known(tmp_path).hosts[ALPHA].evidence
    assert set(kept) >= {ModelName.parse(f"fleet:{number}") for number in range(last + 1)}
    assert all(each == MADE for each in kept.values())


def test_two_processes_write_and_a_third_reads(tmp_path: Path) -> None:
    with writer(tmp_path, "one", 30) as one, writer(tmp_path, "two", 30) as two:
        for each in (one, two):
            assert each.stdout is not None
            while int(each.stdout.readline()) < 29:
                known(tmp_path, "one")
        for name in ("one", "two"):
            assert set(known(tmp_path, name).hosts[ALPHA].evidence) == {
                ModelName.parse(f"{name}:{number}") for number in range(30)
            }
        for each in (one, two):
            each.communicate()
