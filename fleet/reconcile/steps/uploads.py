"""The uploads of all hosts of a pass: few at once, and those of one blob together, so that its file is read once for
several hosts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from threading import Event

from fleet.names import Digest
from fleet.reconcile.difference import LocalBlob
from fleet.weights.blocks import Blocks, SharedReads
from fleet.weights.faults import InvalidWeights
from fleet.weights.hashing import DigestCache, digest_of
from fleet.weights.local import LocalFile
from fleet.weights.zipped import Archive, archive_of


class Uploads:
    """Lives in one event loop. At most `most` uploads are under way at a time."""

    def __init__(self, most: int, cache: DigestCache | None = None) -> None:
        """`cache` knows the digests of archives that were made up before."""
        self._most = most
        self._cache = cache
        self._running: Counter[Digest] = Counter()
        self._waiting: list[tuple[Digest, asyncio.Future[None]]] = []
        self._reads = SharedReads()
        self._archives: dict[tuple[LocalFile, ...], asyncio.Task[Archive]] = {}

    @asynccontextmanager
    async def place(self, digest: Digest) -> AsyncIterator[None]:
        """Waits for a free place. Who wants what is being sent already comes before who came earlier."""
        if self._running.total() >= self._most:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((digest, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave(digest)
                else:
                    self._waiting.remove((digest, turn))
                raise
        else:
            self._running[digest] += 1
        try:
            yield
        finally:
            self._leave(digest)

    def _leave(self, digest: Digest) -> None:
        self._running[digest] -= 1
        self._running += Counter()  # what is at zero is dropped
        if self._waiting and self._running.total() < self._most:
            alike = (number for number, (wanted, _) in enumerate(self._waiting) if self._running[wanted])
            wanted, turn = self._waiting.pop(next(alike, 0))
            self._running[wanted] += 1
            turn.set_result(None)

    async def digest(self, blob: LocalBlob) -> Digest:
        """Of what is sent; an archive is made up once for all hosts that want it. Raises `InvalidWeights`."""
        if blob.digest is not None:
            return blob.digest
        return (await self._archive(blob)).digest

    async def open(self, blob: LocalBlob) -> AbstractContextManager[Blocks]:
        """The bytes of a blob, to be read in a thread. Opening raises `InvalidWeights` for a file that changed."""
        if blob.digest is not None:
            return self._reads.open(blob.files[0])
        return (await self._archive(blob)).open(self._reads)

    async def prove(self, blob: LocalBlob, digest: Digest) -> None:
        """Reads it anew, whatever is remembered of it. Raises `InvalidWeights` where it is not what `digest` says."""
        if blob.digest is None:
            found = (await archive_of(blob.files)).digest
        else:
            given_up = Event()
            try:
                found = await asyncio.to_thread(digest_of, blob.files[0], stop=given_up)
            finally:
                given_up.set()
        if found != digest:
            raise InvalidWeights(
                f"it is sha256:{found.short}, and was remembered as sha256:{digest.short}",
                hint="`--rehash` reads local files anew, whatever is remembered of them",
            )

    async def _archive(self, blob: LocalBlob) -> Archive:
        task = self._archives.get(blob.files)
        if task is None:
            task = self._archives[blob.files] = asyncio.ensure_future(archive_of(blob.files, self._cache))
        return await asyncio.shield(task)
