"""Reads the front of a file in small pieces, never beyond its end or a limit: what it announces is not believed."""

from __future__ import annotations

from struct import Struct
from typing import Any, BinaryIO

from fleet.weights.faults import InvalidWeights

MOST_BYTES = 64 << 20
"""Of a header. The largest vocabularies take some 15 MiB."""

_PIECE = 256 << 10
_AGAIN = "copy or download it again"


class Front:
    """A place in the front of `file`, which has `size` bytes; it moves forward only. All methods raise `InvalidWeights`."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._end = min(size, MOST_BYTES)
        self._piece = b""
        self._start = 0
        self._at = 0

    @property
    def at(self) -> int:
        """Bytes from the start of the file."""
        return self._start + self._at

    @property
    def left(self) -> int:
        """Bytes that can still be taken."""
        return self._end - self.at

    def ensure(self, count: int, announced: str) -> None:
        """That what is `announced`, which takes `count` bytes at least, has room in the file, and in any header."""
        if self.at + count > self._size:
            raise InvalidWeights(f"damaged: {announced}, more than the file has room for")
        if count > self.left:
            raise self._too_far(self.at + count)

    def number(self, kind: Struct) -> Any:
        return self.numbers(kind)[0]

    def numbers(self, kind: Struct) -> tuple[Any, ...]:
        if self._at + kind.size > len(self._piece):
            self._fill(kind.size)
        taken = kind.unpack_from(self._piece, self._at)
        self._at += kind.size
        return taken

    def bytes(self, count: int) -> bytes:
        """`count` is to be small: all of it is kept in memory."""
        if self._at + count > len(self._piece):
            self._fill(count)
        taken = self._piece[self._at : self._at + count]
        self._at += count
        return taken

    def skip(self, count: int) -> None:
        if count > self.left:
            raise self._too_far(self.at + count)
        self._at += count

    def skip_strings(self, count: int, length: Struct) -> None:
        """Goes past strings that are each preceded by their `length` in bytes. Vocabularies have hundreds of thousands,
        so what a turn of the loop does is little.
        """
        piece, at, here, unpack = self._piece, self._at, length.size, length.unpack_from
        last = len(piece) - here
        for _ in range(count):
            if at > last:
                self._at = at
                self._fill(here)
                piece, at = self._piece, 0
                last = len(piece) - here
            (size,) = unpack(piece, at)
            at += here + size
        self._at = at
        if self.left < 0:
            raise self._too_far(self.at)

    def _fill(self, count: int) -> None:
        """Has at least `count` bytes from the place on in the piece."""
        if count > self.left:
            raise self._too_far(self.at + count)
        self._start, self._at = self.at, 0
        self._file.seek(self._start)
        wanted = min(max(count, _PIECE), self._end - self._start)
        self._piece = self._file.read(wanted) or b""
        while len(self._piece) < wanted and (more := self._file.read(wanted - len(self._piece))):
            self._piece += more
        if len(self._piece) < count:
            raise self._too_far(self._start + count)

    def _too_far(self, to: int) -> InvalidWeights:
        if to > self._size or self._size <= MOST_BYTES:
            return InvalidWeights(f"cut short: it has {self._size:,} bytes, and its header is longer", hint=_AGAIN)
        return InvalidWeights(f"its header is longer than {MOST_BYTES >> 20} MiB: that is no model")
