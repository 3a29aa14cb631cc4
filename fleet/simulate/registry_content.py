"""What the registry's blobs are made of: short texts, generated weights of any size, files taken from uploads.

Generated weights are a real GGUF header and filler that follows from a seed, so gigabytes are served, ranged and
hashed without being held. A declared blob has only a digest and a size: zeros are served, which hash to something else.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Protocol

from fleet.simulate.spool import Spool

CHUNK = 1 << 16
_BLOCK = 1 << 18


class Blob(Protocol):
    """Content that is addressed by its digest."""

    @property
    def size(self) -> int: ...

    @property
    def declared(self) -> bool:
        """Whether the content does not hash to the digest it goes by."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, in memory: callers ask for a piece at a time."""


class TextBlob:
    """A small blob held in memory: templates, configs, image manifests."""

    declared = False

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, start: int, stop: int) -> bytes:
        return self._content[start:stop]


class GeneratedBlob:
    """`head`, then filler up to `size` bytes. Equal head, seed and size give equal content on every machine."""

    declared = False

    def __init__(self, head: bytes, seed: str, size: int) -> None:
        self._head = head[:size]
        self._seed = seed
        self.size = size

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self.size)
        parts = [self._head[start:stop]]
        position = max(start, len(self._head))
        block = filler(self._seed)
        while position < stop:
            offset = (position - len(self._head)) % _BLOCK
            piece = block[offset : offset + stop - position]
            parts.append(piece)
            position += len(piece)
        return b"".join(parts)

    def digest(self) -> str:
        """64 hex digits. Hashing takes about a second for each GiB and is done once for each content."""
        return _digest_of(self._head, self._seed, self.size)


class DeclaredBlob:
    """A size without the content, for rehearsals with models that exist elsewhere: a header, then zeros."""

    declared = True

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head[:size]
        self.size = size

    def read(self, start: int, stop: int) -> bytes:
        length = max(0, min(stop, self.size) - start)
        return self._head[start : start + length].ljust(length, b"\0")


class UploadedBlob(Spool):
    """Content that grows while it is uploaded."""

    declared = False

    def digest(self) -> str:
        """64 hex digits."""
        found = hashlib.sha256()
        for start in range(0, self.size, _BLOCK):
            found.update(self.read(start, start + _BLOCK))
        return found.hexdigest()


@lru_cache(maxsize=32)
def filler(seed: str) -> bytes:
    """A quarter of a MiB that looks random and follows from `seed` alone; longer contents repeat it."""
    return hashlib.shake_256(seed.encode()).digest(_BLOCK)


@lru_cache(maxsize=4096)
def _digest_of(head: bytes, seed: str, size: int) -> str:
    found = hashlib.sha256(head)
    block = filler(seed)
    whole, rest = divmod(size - len(head), _BLOCK)
    for _ in range(whole):
        found.update(block)
    found.update(block[:rest])
    return found.hexdigest()
