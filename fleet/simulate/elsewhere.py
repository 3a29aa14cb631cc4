"""Contents that exist on other machines and are known here by digest and size, or by a part of what is in them.

A host that has such a table takes what is in it without a byte being moved: pulls and uploads end at once, and what is
kept goes by the digest of what it stands for.
"""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from fleet.simulate import gguf
from fleet.simulate.blobs import Content, Hollow

_KEPT_UP_TO = 16 << 20
"""Bytes of a file that is worked on as a server would, byte for byte."""
_HEADER_GUESS = 1 << 20


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The hosts and registries of one simulation share it."""

    contents: MutableMapping[str, Content] = field(default_factory=dict)
    """What stands for a blob, by its `sha256:…`."""
    images: MutableMapping[str, str] = field(default_factory=dict)
    """The digest of an image manifest, by the SHA-256 of the bytes that stand for it; hex digits both."""

    def digest_of(self, raw: bytes) -> str:
        """What the manifest of these bytes goes by; empty for one that stands for nothing but itself."""
        return self.images.get(hashlib.sha256(raw).hexdigest(), "") if self.images else ""


class StandIn:
    """A small content that stands for another one: it weighs what that weighs, and read as a whole it is all of itself."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = content
        self.size = size

    def read(self, start: int, stop: int) -> bytes:
        return self._content[start:] if stop >= self.size else self._content[start:stop]


class OnDisk:
    """A content in a file of this machine, read where it lies when somebody wants to see it."""

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self.size = size

    def read(self, start: int, stop: int) -> bytes:
        """Raises `OSError`."""
        with open(self._path, "rb") as file:
            file.seek(start)
            return file.read(max(0, min(stop, self.size) - start))


def hollowed(content: Content, digest: str) -> Content:
    """The header of a GGUF with the size of the whole; a small one as it is. Raises `OSError`."""
    if content.size <= _KEPT_UP_TO:
        return content
    length = _HEADER_GUESS
    while True:
        head = content.read(0, length)
        try:
            end = gguf.read(head).start
        except gguf.GgufError:
            if length >= content.size:
                return content
            length *= 8
        else:
            return Hollow(head[:end], content.size, digest)
