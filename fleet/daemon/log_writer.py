"""Writes the log without ever making its callers wait: a bounded queue, and a thread that alone meets slow pipes.

A pipe that nobody reads fills the queue, and what finds no room is dropped and counted; one whose reader went away takes
nothing more, and the daemon goes on (`reliability.md` K13).
"""

from __future__ import annotations

import errno
import io
import os
import queue
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

ROOM = 10_000
"""Lines; some megabytes at most, since every field is cut."""
_FOR_EVER_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ECONNRESET})


class LogWriter:
    """Takes lines from any thread. `dropped` is told of each line that was lost, in whatever thread, one at a time;
    `missed` makes the line that says how many were lost, once there is room again.
    """

    def __init__(
        self, stream: TextIO, missed: Callable[[int], str], dropped: Callable[[int], None], room: int = ROOM
    ) -> None:
        self._put = _sink(stream)
        self._missed = missed
        self._dropped = dropped
        self._lines: queue.Queue[str | None] = queue.Queue(room)
        self._counting = threading.Lock()
        self._lost = 0
        self._gone = False
        # A daemon thread: one that waits for a reader for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def __call__(self, line: str) -> None:
        """Takes one line, without its end. Returns at once, whatever becomes of it."""
        try:
            if not self._gone:
                self._lines.put_nowait(line)
                return
        except queue.Full:
            pass
        with self._counting:
            self._lost += 1
            self._dropped(1)

    def tell_drops(self, dropped: Callable[[int], None]) -> None:
        """From now on `dropped` is told."""
        self._dropped = dropped

    def close(self, within: float) -> bool:
        """Ends after what was taken is written, and tells whether that was done within so many seconds."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=within)
            self._thread.join(within)
        return not self._thread.is_alive()

    def _write_all(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                if self._gone:
                    self._drop()
                    continue
                self._write(line)
                self._say_what_was_lost()
        finally:
            self._put.close()

    def _say_what_was_lost(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            self._write(self._missed(lost))

    def _write(self, line: str) -> None:
        try:
            self._put(f"{line}\n".encode(errors="backslashreplace"))
        except (OSError, ValueError) as error:
            # A full disk may have room again; a reader that left does not come back.
            self._gone = not isinstance(error, OSError) or error.errno in _FOR_EVER_GONE
            self._drop()

    def _drop(self) -> None:
        with self._counting:
            self._dropped(1)


class _Descriptor:
    """A copy of a stream's descriptor, written to past all buffers: a buffer's lock would be held while a pipe is full,
    and the interpreter waits for it at its end.
    """

    def __init__(self, number: int) -> None:
        self._number = os.dup(number)

    def __call__(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:
                # Somebody else, who has the other end of the same terminal, made it non-blocking.
                select.select([], [self._number], [], 1.0)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._number)


class _Text:
    """A stream without a descriptor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, content: bytes) -> None:
        self._stream.write(content.decode())

    def close(self) -> None:
        """The stream is its owner's."""


def _sink(stream: TextIO) -> _Descriptor | _Text:
    try:
        return _Descriptor(stream.fileno())
    except (io.UnsupportedOperation, AttributeError):
        return _Text(stream)
