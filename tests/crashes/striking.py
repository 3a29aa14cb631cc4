"""`kill -9` of a process that runs, some time after it first spoke to a host."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

_POLL = 0.0005


class Striking:
    """Waits beside the process, in a thread of its own, until `asked`, then for so many seconds, and kills it."""

    def __init__(self, seconds: float, asked: Callable[[], bool], changing: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._asked = asked
        self._changing = changing
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._found: bool | None = None

    def begin(self, process: int) -> None:
        """From now on; `process` is a child that nobody has waited for yet."""
        # Unlike its number, this can stand for no other process later.
        handle = os.pidfd_open(process)
        self._thread = threading.Thread(target=self._strike, args=(handle,))
        self._thread.start()

    def ended(self) -> bool | None:
        """What `changing` told just before the kill; nothing where the process ended first."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        return self._found

    def _strike(self, handle: int) -> None:
        try:
            while not self._asked():
                if self._over.wait(_POLL):
                    return
            until = time.monotonic() + self._seconds
            while (left := until - time.monotonic()) > 0:
                if self._over.wait(left):
                    return
            changing = self._changing()
            try:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            except ProcessLookupError:
                return
            self._found = changing
        finally:
            os.close(handle)
