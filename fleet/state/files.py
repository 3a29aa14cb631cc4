"""What is done to the database's file as a whole: begun, set aside, copied. One process at a time in one folder."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from fleet.state.folder import unusable

BESIDE = ("-wal", "-shm")
"""What the library keeps beside the file while it is open, and after a run that was killed."""

_LONGEST = 30.0
_BETWEEN_TRIES = 0.02


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Others wait meanwhile, for moments. Raises `StateError` after half a minute, and `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + _LONGEST
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise unusable(
                        folder, "another process keeps it busy", "look for a run that hangs, then try again"
                    ) from None
                time.sleep(_BETWEEN_TRIES)
            except OSError:
                break  # no locks on folders here; the lock of each fleet keeps most runs apart anyway
        yield
    finally:
        os.close(descriptor)


def make_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill an empty private file, which gets its name when all of it is on disk.

    Raises what `write` raises, and `OSError`.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        _synced(temporary)
        temporary.replace(path)
        _synced(path.parent)
    finally:
        for suffix in ("", *BESIDE):
            with suppress(OSError):
                temporary.with_name(temporary.name + suffix).unlink()


def sweep(path: Path) -> None:
    """Takes away what a killed run left half made under `make_whole`. Raises `OSError`."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)


def set_aside(path: Path) -> Path | None:
    """Moves the file and what stands beside it to a dated name, and tells that. Nothing where there is none.

    What stands beside goes first: left alone it would be taken for a part of the next file. Raises `OSError`.
    """
    to = dated(path, "set-aside")
    for suffix in BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(to.with_name(to.name + suffix))
    try:
        path.replace(to)
    except FileNotFoundError:
        return None
    _synced(path.parent)
    return to


def dated(path: Path, word: str) -> Path:
    """A free name beside it, as `fleet.db.set-aside-20261101T093012Z`."""
    base = f"{path.name}.{word}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    number = 1
    while os.path.lexists(path.with_name(base if number == 1 else f"{base}-{number}")):
        number += 1
    return path.with_name(base if number == 1 else f"{base}-{number}")


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
