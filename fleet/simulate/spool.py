"""Bytes that grow: in memory while they are few, then in a file without a name that goes with them."""

from __future__ import annotations

import os
import tempfile

IN_MEMORY = 4 << 20
"""Bytes up to which nothing is written to a file."""


class Spool:
    """May be written anywhere up to its end, and read at any time. Nothing needs to be closed."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._handle: int | None = None
        self.size = 0

    def write(self, position: int, piece: bytes) -> None:
        """Raises `OSError` when the disk is full."""
        end = position + len(piece)
        if self._handle is None and end > IN_MEMORY:
            self._handle = _nameless_file()
            self._put(0, self._held)
            self._held = bytearray()
        if self._handle is None:
            self._held[position:end] = piece
        else:
            self._put(position, piece)
        self.size = max(self.size, end)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, or up to the end."""
        length = max(0, min(stop, self.size) - start)
        if self._handle is None:
            return bytes(self._held[start : start + length])
        return os.pread(self._handle, length, start)

    def _put(self, position: int, piece: bytes | bytearray) -> None:
        left = memoryview(piece)
        while left and self._handle is not None:
            written = os.pwrite(self._handle, left, position)
            left, position = left[written:], position + written

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _nameless_file() -> int:
    """A bare handle: file objects would warn about not being closed when they are collected."""
    handle, name = tempfile.mkstemp()
    os.unlink(name)  # noqa: PTH108 - next to the handle it belongs to
    return handle
