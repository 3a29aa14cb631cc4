"""One run at a time: the second is told who holds the lock, and a run that ended leaves none behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import ExitCode, LockError
from fleet.state.folder import StateError
from fleet.state.lock import RunLock

HOLDER = """
import sys
from fleet.state.lock import RunLock
with RunLock(sys.argv[1], "fleet"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.fault("K3")
def test_a_lock_held_by_another_process_names_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockError) as held, RunLock(str(tmp_path), "fleet"):
            pytest.fail("two runs at once")
        assert f"(process {holder.pid} on `{socket.gethostname()}`, since 20" in str(held.value)
        assert "`--lock-timeout 5m`" in (held.value.hint or "")
        assert held.value.code is Code.LOCK_HELD
        assert held.value.exit_code is ExitCode.LOCKED
        with RunLock(str(tmp_path), "another"):
            pass
        holder.kill()
        holder.wait()
        with RunLock(str(tmp_path), "fleet"):
            pass


def test_a_lock_is_free_again_after_its_run(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            RunLock(str(tmp_path), "fleet"),
            pytest.raises(LockError, match=f"process {os.getpid()}"),
            RunLock(str(tmp_path), "fleet"),
        ):
            pytest.fail("two runs at once")


def test_a_lock_is_free_again_after_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), RunLock(str(tmp_path), "fleet"):
        raise KeyError
    with RunLock(str(tmp_path), "fleet"):
        pass


def test_the_file_is_private_and_what_it_held_before_does_not_matter(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with RunLock(str(folder), "fleet"):
        assert stat.S_IMODE((folder / "fleet.lock").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "fleet.lock").write_text("x" * 9999, encoding="utf-8")
    with RunLock(str(folder), "fleet"), pytest.raises(LockError, match=f"process {os.getpid()}"):
        RunLock(str(folder), "fleet").__enter__()


@pytest.mark.parametrize("told", ["", "{}", "[]", '{"pid": "x"}', '{"pid": 1, "since": "\\u001b[31m"}', "\0" * 10])
def test_a_holder_that_tells_nothing_usable_is_not_named(tmp_path: Path, told: str) -> None:
    with RunLock(str(tmp_path), "fleet"):
        (tmp_path / "fleet.lock").write_text(told, encoding="utf-8")
        with pytest.raises(LockError, match="another run is at work: "):
            RunLock(str(tmp_path), "fleet").__enter__()


@pytest.mark.parametrize("machine", ['"\\u001b[31m"', "{}", '""', '"a b"'])
def test_a_machine_that_is_no_name_is_left_out(tmp_path: Path, machine: str) -> None:
    with RunLock(str(tmp_path), "fleet"):
        told = f'{{"pid": 7, "machine": {machine}, "since": "2026-11-01T09:30:12+00:00"}}'
        (tmp_path / "fleet.lock").write_text(told, encoding="utf-8")
        with pytest.raises(LockError, match=r"at work \(process 7, since 2026-11-01T09:30:12\+00:00\): "):
            RunLock(str(tmp_path), "fleet").__enter__()


@pytest.mark.fault("K3")
def test_a_lock_that_comes_free_in_time_is_had(tmp_path: Path) -> None:
    tries = 0

    def free_at_the_third(*_: int) -> None:
        nonlocal tries
        tries += 1
        if tries != 3:
            raise BlockingIOError

    with RunLock(str(tmp_path), "fleet", 60, free_at_the_third):
        assert tries == 4, "the last one proves that it is had"
    tries = -1000
    with pytest.raises(LockError):
        RunLock(str(tmp_path), "fleet", 0.2, free_at_the_third).__enter__()
    assert 2 < tries + 1000 < 10, "it is asked for more than once, and not all the time"


def test_a_folder_that_cannot_hold_a_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StateError, match=r"fleet\.lock") as fault:
        RunLock(str(tmp_path / "file"), "fleet").__enter__()
    assert fault.value.code is Code.STATE_UNUSABLE


@pytest.mark.fault("K8")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "fleet.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        RunLock(str(tmp_path), "fleet").__enter__()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.fault("K5")
def test_a_file_system_without_locks_is_not_taken_for_another_run(tmp_path: Path) -> None:
    def no_locks(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with pytest.raises(StateError, match=r"cannot be taken: No locks available: .*fleet\.lock") as fault:
        RunLock(str(tmp_path), "fleet", 3600, no_locks).__enter__()
    assert fault.value.code is Code.STATE_UNUSABLE
    assert fault.value.exit_code is ExitCode.COULD_NOT_RUN


@pytest.mark.parametrize("raised", [OSError(errno.EIO, "I/O error"), BlockingIOError(), KeyboardInterrupt()])
def test_nothing_stays_open_after_a_lock_that_was_not_had(tmp_path: Path, raised: BaseException) -> None:
    def fails(*_: int) -> None:
        raise raised

    before = open_files()
    with pytest.raises((StateError, LockError, KeyboardInterrupt)):
        RunLock(str(tmp_path), "fleet", flock=fails).__enter__()
    assert open_files() == before


def test_nothing_stays_open_after_a_run(tmp_path: Path) -> None:
    before = open_files()
    with RunLock(str(tmp_path), "fleet"):
        assert open_files() != before
    assert open_files() == before


def test_a_lock_is_held_even_where_nothing_can_be_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fleet.lock")  # takes a lock, and neither a length nor a place to write to
    with RunLock(str(tmp_path), "fleet"), pytest.raises(LockError, match="another run is at work: "):
        RunLock(str(tmp_path), "fleet").__enter__()


def open_files() -> set[str]:
    return {file.name for file in Path("/dev/fd").iterdir()}
