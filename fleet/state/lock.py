"""One run at a time for each fleet on this machine: a kernel lock, which a killed run cannot leave behind."""

from __future__ import annotations

import fcntl
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from fleet.codes import Code
from fleet.errors import LockError
from fleet.state.memory import StateError, file_name, private_folder

_BETWEEN_TRIES = 0.2


class RunLock:
    """Held as a context. Waits `timeout` seconds for another run to end, then raises `LockError` naming it."""

    def __init__(self, folder: str, name: str, timeout: float = 0.0) -> None:
        self._path = Path(folder) / f"{file_name(name)}.lock"
        self._timeout = timeout
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            private_folder(self._path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise StateError(
                f"the lock {error.strerror or 'cannot be opened'}: {self._path}",
                code=Code.STATE_UNUSABLE,
                hint="make the folder writable for this user, or name another one by `state_dir`",
            ) from error
        until = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until:
                    owner = self._owner()
                    os.close(self._descriptor)
                    raise LockError(
                        f"another run is at work{owner}: {self._path}",
                        code=Code.LOCK_HELD,
                        hint="wait for it to end, or give this run time with `--lock-timeout 5m`",
                    ) from None
                time.sleep(_BETWEEN_TRIES)
        # For people only: the lock is the kernel's.
        told = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(told).encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def _owner(self) -> str:
        try:
            told = json.loads(os.pread(self._descriptor, 4096, 0))
            return f" (process {int(told['pid'])}, since {datetime.fromisoformat(told['since']).isoformat()})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""
