"""Blobs of a simulated host: contents under their digests, on a disk that may be full.

Small contents are held in memory, large ones in temporary files that all hosts of the process share by digest, and
contents known by digest and size alone take no space at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from fleet.simulate.spool import IN_MEMORY, Spool

CHUNK = 1 << 20
_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}\Z")


class NoSpaceError(OSError):
    """The simulated disk is full. The text is the server's."""


class InvalidDigestError(ValueError):
    """A text that is no digest."""

    def __init__(self) -> None:
        super().__init__("invalid digest format")


class Content(Protocol):
    """Bytes that do not change."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, or up to the end."""


class Held:
    """A content in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, start: int, stop: int) -> bytes:
        return self._content[start:stop]


class Filed:
    """A content in a file without a name, which goes with it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.size = spool.size

    def read(self, start: int, stop: int) -> bytes:
        return self._spool.read(start, stop)


class Slice:
    """A part of another content."""

    def __init__(self, content: Content, start: int, stop: int) -> None:
        self._content = content
        self._start = start
        self.size = max(0, min(stop, content.size) - start)

    def read(self, start: int, stop: int) -> bytes:
        return self._content.read(self._start + start, self._start + min(stop, self.size))


class Hollow:
    """A content of which only the beginning and the size exist; the rest reads as zeros.

    `identity` is the digest of what it was made from, for contents made from others.
    """

    def __init__(self, head: bytes, size: int, identity: str = "") -> None:
        self._head = head[:size]
        self.size = size
        self.identity = identity

    def read(self, start: int, stop: int) -> bytes:
        stop = max(start, min(stop, self.size))
        return self._head[start:stop].ljust(stop - start, b"\0")


_shared: WeakValueDictionary[str, Filed] = WeakValueDictionary()


class Intake:
    """Takes a content in pieces and hashes it on the way: in memory while small, then in a file."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._hash = hashlib.sha256()

    @property
    def size(self) -> int:
        return self._spool.size

    def add(self, piece: bytes) -> None:
        self._spool.write(self._spool.size, piece)
        self._hash.update(piece)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def content(self) -> Content:
        """All that was taken. Equal large contents are one."""
        if self.size <= IN_MEMORY:
            return Held(self._spool.read(0, self.size))
        known = _shared.get(self.digest)
        if known is None:
            known = _shared[self.digest] = Filed(self._spool)
        return known


def taken(content: Content) -> Intake:
    """A content of its own, hashed."""
    intake = Intake()
    for place in range(0, content.size, CHUNK):
        intake.add(content.read(place, place + CHUNK))
    return intake


class Partial:
    """An unfinished download. `total` is what the registry announced, none before it was asked."""

    def __init__(self, clock: Callable[[], int] = lambda: 0) -> None:
        self._spool = Spool()
        self._clock = clock
        self.size = 0
        self.total: int | None = None
        self.touched = clock()

    def add(self, piece: bytes) -> None:
        self._spool.write(self.size, piece)
        self.size += len(piece)
        self.touched = self._clock()

    def rewind(self, size: int) -> None:
        """Gives up what came after this place."""
        self.size = size

    def finished(self) -> Iterator[bytes]:
        """All of it, in pieces."""
        for place in range(0, self.size, CHUNK):
            yield self._spool.read(place, min(place + CHUNK, self.size))


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(slots=True)
class Blob:
    """A file in the folder of blobs; `touched` in nanoseconds since 1970 is its modification time."""

    content: Content
    touched: int


class Blobs:
    """The folder of blobs of one host. `clock` gives nanoseconds since 1970."""

    def __init__(self, folder: str, disk: int | None, clock: Callable[[], int]) -> None:
        self.folder = folder
        self.disk = disk
        self._clock = clock
        self._blobs: dict[str, Blob] = {}
        self._partial: dict[str, Partial] = {}
        self._finished = 0
        self._arriving: list[Intake] = []
        self.peak = 0
        """Bytes that the finished blobs took at most."""

    def path(self, digest: str) -> str:
        """Where the blob lies on the host; an empty digest gives the folder. Raises `InvalidDigestError`."""
        if not digest:
            return self.folder
        if not _DIGEST.match(digest):
            raise InvalidDigestError
        return f"{self.folder}/{digest.replace(':', '-')}"

    def find(self, digest: str) -> Content | None:
        """The content under this digest, in either form of it but in small letters."""
        blob = self._blobs.get(digest.replace("-", ":", 1))
        return blob.content if blob else None

    def open(self, digest: str) -> Content:
        """Raises `FileNotFoundError` with the server's text, `InvalidDigestError`."""
        path = self.path(digest)
        content = self.find(digest)
        if content is None:
            raise FileNotFoundError(f"open {path}: no such file or directory")
        return content

    def read(self, digest: str) -> bytes:
        """A whole small content."""
        content = self.open(digest)
        return content.read(0, content.size)

    def add(self, content: Content, digest: str) -> bool:
        """Puts a content where it belongs; says whether it was new. Raises `NoSpaceError`."""
        known = self._blobs.get(digest)
        if known:
            return False
        self.make_room(content.size, digest)
        self._blobs[digest] = Blob(content, self._clock())
        self._finished += content.size
        self.peak = max(self.peak, self._finished)
        return True

    def touch(self, digest: str) -> None:
        blob = self._blobs.get(digest)
        if blob:
            blob.touched = self._clock()

    def remove(self, digest: str) -> bool:
        removed = self._blobs.pop(digest, None)
        self._finished -= removed.content.size if removed else 0
        return removed is not None

    def make_room(self, size: int, name: str) -> None:
        """Raises `NoSpaceError` where the disk cannot take so many bytes more."""
        if self.disk is not None and self.used + size > self.disk:
            raise NoSpaceError(f"write {self.folder}/{name.replace(':', '-')}: no space left on device")

    @property
    def used(self) -> int:
        """Bytes on disk, with what is not finished yet of downloads and uploads."""
        downloads = sum(partial.size for partial in self._partial.values())
        return self._finished + downloads + sum(intake.size for intake in self._arriving)

    @contextmanager
    def arriving(self) -> Iterator[Intake]:
        """An upload: what it has taken lies on the disk for as long as the block lasts, and is nobody's afterwards."""
        intake = Intake()
        self._arriving.append(intake)
        try:
            yield intake
        finally:
            self._arriving.remove(intake)

    def partial(self, digest: str) -> Partial:
        """What of a download is there already; it is kept until it is finished or discarded."""
        return self._partial.setdefault(digest, Partial(self._clock))

    def discard_partial(self, digest: str) -> None:
        self._partial.pop(digest, None)

    def drop_partials(self, until: int | None = None) -> None:
        """Drops unfinished downloads: all, or those that nothing was added to since `until`."""
        for digest, partial in list(self._partial.items()):
            if until is None or partial.touched <= until:
                del self._partial[digest]

    def __iter__(self) -> Iterator[tuple[str, Blob]]:
        yield from list(self._blobs.items())

    def __len__(self) -> int:
        return len(self._blobs)
