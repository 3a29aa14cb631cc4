"""Files of any size and kind in place of those that fleet reads: refused at once, and in little memory."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.daemon.secret import read_secret
from fleet.errors import FleetError
from fleet.manifest.load import load
from fleet.ollama.credentials import Credentials, Trust, tls_context
from fleet.reconcile import saved
from fleet.reconcile.rehearsing.snapshot_file import read_snapshot
from fleet.registry.lock import read_lock
from fleet.settings import Settings
from fleet.state.lock import RunLock

READERS: dict[str, Callable[[Path], object]] = {
    "manifest": lambda path: load([str(path)], folder=str(path.parent)),
    "plan": lambda path: saved.read(str(path)),
    "snapshot": read_snapshot,
    "lock file": read_lock,
    "token": lambda path: Credentials("bearer", str(path)).headers(),
    "authority": lambda path: tls_context(Trust(ca_file=str(path))),
    "key": lambda path: tls_context(Trust(cert_file=str(path), key_file=str(path))),
    "secret of the daemon": lambda path: read_secret(str(path), Settings()),
}


def refused(read: Callable[[Path], object], path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FleetError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", READERS)
def test_ten_gigabytes_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.touch(0o600)
    os.truncate(path, 10 << 30)
    refused(READERS[name], path)


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    os.mkfifo(path, 0o600)
    refused(READERS[name], path)


@pytest.mark.parametrize("name", READERS)
def test_a_device_without_end_is_not_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.symlink_to("/dev/zero")
    refused(READERS[name], path)


def test_a_lock_that_says_much_of_its_holder_is_read_to_a_limit(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with RunLock(str(folder), "fleet"):
        (lock,) = folder.glob("*.lock")
        os.truncate(lock, 10 << 30)
        refused(lambda _path: RunLock(str(folder), "fleet").__enter__(), lock)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_lock_that_is_no_file_of_its_own_is_refused(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    lock = folder / "fleet.lock"
    if kind == "link":
        lock.symlink_to(tmp_path / "elsewhere")
        refused(lambda _path: RunLock(str(folder), "fleet").__enter__(), lock)
        assert not (tmp_path / "elsewhere").exists()
    else:
        # Opened for both sides, a pipe makes nobody wait; what counts is the kernel's lock on it.
        os.mkfifo(lock, 0o600)
        with RunLock(str(folder), "fleet"):
            pass
