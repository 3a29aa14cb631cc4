"""The files of a safetensors folder as one zip, which is how servers up to 0.5.4 take them (`ollama-api.md` 7.2).

The zip is the same to the byte for the same files, and is never on disk: it is made up anew each time it is read.
Nothing is compressed, so its size is known beforehand; sums come behind the contents, so one reading is enough.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from zlib import crc32

from fleet.names import Digest
from fleet.weights.blocks import Blocks, SharedReads
from fleet.weights.hashing import BLOCK, DigestCache, Progress, Stopped, settled
from fleet.weights.layout import Layout
from fleet.weights.local import LocalFile, Stamp

_SMALL = 64 << 10


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that can be read any number of times."""

    files: tuple[LocalFile, ...]
    size: int
    digest: Digest

    @contextmanager
    def open(self, reads: SharedReads | None = None) -> Iterator[Blocks]:
        """Its blocks, as `SharedReads.open` gives those of a file. Iterating raises `ChangedWeights`, `InvalidWeights`."""
        yield _Zip(self.files, self.size, reads or SharedReads())


async def archive_of(
    files: Iterable[LocalFile],
    cache: DigestCache | None = None,
    *,
    rehash: bool = False,
    progress: Progress | None = None,
    now: Callable[[], int] = time.time_ns,
) -> Archive:
    """The zip of `files` under their keys. Raises as `digest_of` does; cancelling it stops the reading."""
    members = tuple(sorted(files, key=lambda file: file.key))
    size = Layout(members).size
    stamp = stamp_of(members, size)
    known = cache.get(stamp) if cache is not None and not rehash and settled(stamp, now()) else None
    if known is not None:
        return Archive(members, size, known)
    loop, stop, began = asyncio.get_running_loop(), Event(), now()

    def told(file: LocalFile, count: int) -> None:
        if progress is not None and not stop.is_set():
            loop.call_soon_threadsafe(progress, file, count)

    try:
        digest = await asyncio.to_thread(_digest, members, size, told, stop)
    finally:
        stop.set()
    if cache is not None and settled(stamp, began):
        cache.put(stamp, digest)
    return Archive(members, size, digest)


def stamp_of(files: tuple[LocalFile, ...], size: int) -> Stamp:
    """By what a cache knows the zip of these versions of these files; no file has such a device."""
    told = repr([(file.key, file.stamp) for file in files]).encode("utf-8", "surrogatepass")
    mark = int.from_bytes(hashlib.sha256(b"zip 1 " + told).digest()[:8]) >> 1
    return Stamp(
        device=-1,
        inode=mark,
        size=size,
        mtime_ns=max((file.stamp.mtime_ns for file in files), default=0),
        ctime_ns=max((file.stamp.ctime_ns for file in files), default=0),
    )


def _digest(files: tuple[LocalFile, ...], size: int, told: Callable[[LocalFile, int], None], stop: Event) -> Digest:
    hashed = hashlib.sha256()
    for block in _Zip(files, size, SharedReads(block=BLOCK), told):
        hashed.update(block)
        if stop.is_set():
            raise Stopped
    return Digest(hashed.hexdigest())


class _Zip:
    """The blocks of a zip, made up while they are asked for."""

    def __init__(
        self,
        files: tuple[LocalFile, ...],
        size: int,
        reads: SharedReads,
        told: Callable[[LocalFile, int], None] | None = None,
    ) -> None:
        self._files = files
        self._size = size
        self._reads = reads
        self._told = told

    @property
    def size(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        gathered = bytearray()
        for piece in self._pieces():
            if len(piece) < _SMALL:
                gathered += piece
                if len(gathered) < _SMALL:
                    continue
                piece = memoryview(b"")  # noqa: PLW2901 - it went into what is gathered
            if gathered:
                yield memoryview(gathered)
                gathered = bytearray()
            if piece:
                yield memoryview(piece)
        if gathered:
            yield memoryview(gathered)

    def _pieces(self) -> Iterator[bytes | memoryview]:
        layout = Layout(self._files)
        sums = []
        for number, file in enumerate(self._files):
            yield layout.before(number)
            checked = 0
            with self._reads.open(file) as blocks:
                for block in blocks:
                    checked = crc32(block, checked)
                    yield block
            if self._told is not None:
                self._told(file, file.stamp.size)
            sums.append(checked)
            yield layout.behind(number, checked)
        yield layout.end(sums)
