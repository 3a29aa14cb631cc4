"""Where everything lies in a zip without compression, and the records around the contents. Pure.

Sizes are known beforehand and checksums are not, so these follow each content. Fields of 64 bits stand only where 32
are too few. Names are UTF-8; the time is always the first that a zip can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from struct import pack

from fleet.weights.local import LocalFile

_MOST_32 = 0xFFFFFFFF
_MOST_16 = 0xFFFF
_SUM_BEHIND, _UTF_8 = 1 << 3, 1 << 11
_DATE = 0x21
"""1980-01-01."""
_UNIX = 3 << 8
_MODE = 0o100644 << 16


class Layout:
    """The records of a zip of `files`, in this order. Sizes and offsets from `large` on take 64 bits."""

    def __init__(self, files: Sequence[LocalFile], large: int = _MOST_32) -> None:
        self._large = large
        self._files = files
        self._names = [file.key.encode() for file in files]
        spans = [
            len(self.before(number)) + file.stamp.size + len(self.behind(number, 0))
            for number, file in enumerate(files)
        ]
        self._offsets = [0, *accumulate(spans)]
        self.size = self._offsets[-1] + len(self.end([0] * len(files)))
        """Of the whole zip."""

    def before(self, number: int) -> bytes:
        """What precedes a content."""
        name = self._names[number]
        wide = self._wide(number)
        size = _MOST_32 if wide else 0
        extra = pack("<HHQQ", 1, 16, 0, 0) if wide else b""
        return b"PK\3\4" + self._common(number, 0, size) + pack("<HH", len(name), len(extra)) + name + extra

    def behind(self, number: int, checksum: int) -> bytes:
        """What follows a content."""
        size = self._files[number].stamp.size
        return b"PK\7\x08" + pack("<IQQ" if self._wide(number) else "<III", checksum, size, size)

    def end(self, checksums: Sequence[int]) -> bytes:
        """The directory, behind everything else."""
        entries = b"".join(self._entry(number, checksum) for number, checksum in enumerate(checksums))
        count, start, size = len(checksums), self._offsets[-1], len(entries)
        tail = b""
        if count >= _MOST_16 or start >= self._large or size >= self._large:
            tail = b"PK\6\6" + pack("<QHHIIQQQQ", 44, _UNIX | 45, 45, 0, 0, count, count, size, start)
            tail += b"PK\6\7" + pack("<IQI", 0, start + size, 1)
            count, start, size = _MOST_16, _MOST_32, _MOST_32
        return entries + tail + b"PK\5\6" + pack("<HHHHIIH", 0, 0, count, count, size, start, 0)

    def _wide(self, number: int) -> bool:
        return self._files[number].stamp.size >= self._large

    def _common(self, number: int, checksum: int, size: int) -> bytes:
        """What both records of a file have in common: from the needed version to the two sizes."""
        needed = 45 if self._wide(number) else 20
        flags = _SUM_BEHIND | (0 if self._names[number].isascii() else _UTF_8)
        return pack("<HHHHHIII", needed, flags, 0, 0, _DATE, checksum, size, size)

    def _entry(self, number: int, checksum: int) -> bytes:
        name, offset, size = self._names[number], self._offsets[number], self._files[number].stamp.size
        fields = b""
        if self._wide(number):
            fields += pack("<QQ", size, size)
        if offset >= self._large:
            fields += pack("<Q", offset)
        extra = pack("<HH", 1, len(fields)) + fields if fields else b""
        common = self._common(number, checksum, _MOST_32 if self._wide(number) else size)
        where = _MOST_32 if offset >= self._large else offset
        rest = pack("<HHHHHII", len(name), len(extra), 0, 0, 0, _MODE, where)
        return b"PK\1\2" + pack("<H", _UNIX | 45) + common + rest + name + extra
