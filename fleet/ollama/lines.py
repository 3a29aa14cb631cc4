"""Cuts a stream of bytes into lines (NDJSON), at newlines alone and never longer than a limit.

Pure. The HTTP library's own splitter also cuts at U+0085 and U+2028 and knows no limit (`reliability.md` A.5).
"""

from __future__ import annotations


class LineTooLongError(ValueError):
    """A line passed the limit; nothing of it is kept."""


class Lines:
    """Feed it chunks, take whole lines. How the bytes were cut into chunks makes no difference."""

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of the longest line allowed, without its end."""
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends; blank ones left out. Raises `LineTooLongError`."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self._take())
        self._add(rest)
        return [line for line in lines if line]

    def finish(self) -> bytes:
        """What followed the last newline: a last line without its end, or nothing."""
        return self._take()

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            self._parts, self._size = [], 0
            raise LineTooLongError
        if piece:
            self._parts.append(piece)

    def _take(self) -> bytes:
        line = b"".join(self._parts).strip()
        self._parts, self._size = [], 0
        return line
