"""Uploads to the registry: opened by POST, filled in pieces by PATCH or PUT, closed by a PUT that names the digest."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fleet.simulate.registry_content import UploadedBlob
from fleet.simulate.registry_pace import Pace

_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)")


class RangeNotSatisfiableError(ValueError):
    """A piece that does not fit to what was uploaded so far."""


class DigestInvalidError(ValueError):
    """The uploaded bytes do not hash to the digest that was promised."""


@dataclass(slots=True)
class Upload:
    """One upload. A piece may be sent again from its start: Ollama does so after a broken connection."""

    repository: str
    blob: UploadedBlob = field(default_factory=UploadedBlob)

    async def take(self, pieces: AsyncIterator[bytes], content_range: str | None, pace: Pace) -> None:
        """Writes the body of one request where `Content-Range` (`0-99`, both included) says, else at the end.

        Raises `RangeNotSatisfiableError` for a gap, or for a body that is not as long as its range.
        """
        position, expected = self.blob.size, None
        if content_range is not None:
            match = _RANGE.fullmatch(content_range)
            if match is None or int(match[1]) > self.blob.size:
                raise RangeNotSatisfiableError(f"{content_range} after {self.blob.size} bytes")
            position, expected = int(match[1]), int(match[2]) + 1
        own = pace.request()
        async for piece in pieces:
            await pace.passed(own, len(piece))
            self.blob.write(position, piece)
            position += len(piece)
        if expected is not None and position != expected:
            raise RangeNotSatisfiableError(f"{content_range}, but the body ended at {position}")

    def finish(self, digest: str) -> UploadedBlob:
        """The blob, if its bytes hash to `digest` (64 hex digits); raises `DigestInvalidError` otherwise."""
        found = self.blob.digest()
        if found != digest:
            raise DigestInvalidError(f"provided digest did not match uploaded content: sha256:{found}")
        return self.blob


class Uploads:
    """The uploads that were opened and not yet closed, by the identity that stands in their URL."""

    def __init__(self) -> None:
        self._open: dict[str, Upload] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, repository: str) -> str:
        identity = str(uuid.uuid4())
        self._open[identity] = Upload(repository)
        return identity

    def get(self, repository: str, identity: str) -> Upload | None:
        upload = self._open.get(identity)
        return upload if upload is not None and upload.repository == repository else None

    def close(self, identity: str) -> None:
        self._open.pop(identity, None)
