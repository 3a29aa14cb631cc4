"""One run at a time for each fleet on this machine: a kernel lock, which a killed run cannot leave behind."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from fleet.codes import Code
from fleet.errors import LockError
from fleet.state.folder import StateError, file_name, private_folder
from fleet.state.mounts import unlocked_mount

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 1.0
"""A try costs next to nothing, and nobody should wait long for a lock that is free."""

_MACHINE = re.compile(r"[A-Za-z0-9_.-]{1,253}\Z")


class RunLock:
    """Held as a context. Waits `timeout` seconds for another run to end, then raises `LockError` naming it."""

    def __init__(
        self,
        folder: str,
        name: str,
        timeout: float = 0.0,
        flock: Callable[[int, int], None] = fcntl.flock,
        unlocked: Callable[[Path], str | None] = unlocked_mount,
    ) -> None:
        """`flock` is the system's call, which not every file system carries out; `unlocked` tells of those where it holds
        on one machine alone.
        """
        self._path = Path(folder) / f"{file_name(name)}.lock"
        self._timeout = timeout
        self._flock = flock
        self._unlocked = unlocked
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Raises `LockError`, and `StateError` where the lock cannot be had at all."""
        try:
            private_folder(self._path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise self._unusable("cannot be opened", error) from error
        try:
            self._take(descriptor)
            self._prove()
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def _take(self, descriptor: int) -> None:
        until = time.monotonic() + self._timeout
        wait = _FIRST_WAIT
        while True:
            try:
                self._flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise LockError(
                        f"another run is at work{_owner(descriptor)}: {self._path}",
                        code=Code.LOCK_HELD,
                        hint="wait for it to end, or give this run time with `--lock-timeout 5m`",
                    ) from None
                time.sleep(min(wait, max(0.0, until - time.monotonic())))
                wait = min(2 * wait, _LONGEST_WAIT)
            except OSError as error:
                raise self._unusable("cannot be taken", error) from error
        # For people only, since the lock is the kernel's: a full disk is no reason to do nothing.
        told = {
            "pid": os.getpid(),
            "machine": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(told).encode(), 0)

    def _prove(self) -> None:
        """That the lock keeps others out: there are file systems that grant it to everybody. Raises `StateError`."""
        kind = self._unlocked(self._path.parent)
        if kind is not None:
            raise self._keeps_nobody_out(f"on {kind} it is not known to other machines, as this is mounted")
        try:
            second = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise self._unusable("cannot be opened", error) from error
        try:
            self._flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        finally:
            os.close(second)
        raise self._keeps_nobody_out("the file system granted it twice")

    def _keeps_nobody_out(self, why: str) -> StateError:
        return StateError(
            f"the lock keeps nobody out: {why}: {self._path}",
            code=Code.STATE_UNUSABLE,
            hint="name a folder on a local disk by `state_dir`, or mount this one with locks that work",
        )

    def _unusable(self, what: str, error: OSError) -> StateError:
        return StateError(
            f"the lock {what}: {error.strerror or error}: {self._path}",
            code=Code.STATE_UNUSABLE,
            hint="make the folder writable for this user, or name another one by `state_dir`, on a local disk",
        )


def _owner(descriptor: int) -> str:
    """Who holds the lock, as far as that can be read."""
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
        pid, machine, since = int(told["pid"]), str(told.get("machine", "")), datetime.fromisoformat(told["since"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    # A folder on a network file system, or one that containers share, has holders elsewhere.
    where = f" on `{machine}`" if _MACHINE.match(machine) else ""
    return f" (process {pid}{where}, since {since.isoformat()})"
