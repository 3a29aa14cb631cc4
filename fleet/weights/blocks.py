"""The bytes of files on their way to hosts: many uploads of one file at about the same time read it once.

Each upload runs in a thread of its own and takes blocks in order. What one reads is kept for those that are behind it,
as far as a small window goes; who lags further reads for itself, and who is alone has nothing kept. Memory is bounded
by the window, whatever the sizes of files and however many uploads there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Protocol

from fleet.weights.faults import ChangedWeights
from fleet.weights.local import LocalFile, Stamp
from fleet.weights.unchanged import ensure_unchanged, open_unchanged, read_at

BLOCK = 1 << 20
MOST_KEPT = 24
"""Blocks in the windows of all files together: what four uploads hold themselves comes on top."""
_CHECKED_EVERY = 16
"""Blocks between two looks at whether a file is still the same, apart from the last one: each look takes time from the
other uploads, since they wait for each other to go on in Python."""


class Blocks(Protocol):
    """What is uploaded, block after block. Each is good until the next one is asked for: its memory is used again.

    Iterating raises `ChangedWeights` before the last block is given, where the file became another one meanwhile, and
    `InvalidWeights` where reading fails.
    """

    @property
    def size(self) -> int: ...

    def __iter__(self) -> Iterator[memoryview]: ...


@dataclass(slots=True)
class _Block:
    buffer: bytearray
    kept: bool
    """In a window."""
    loading: bool
    """It is being read, and others wait for it."""
    size: int = 0
    users: int = 1


@dataclass(slots=True)
class _Window:
    """What several readers of one file share."""

    readers: list[_Reader] = field(default_factory=list)
    blocks: dict[int, _Block] = field(default_factory=dict)


class SharedReads:
    """Hands out the blocks of files. All uploads of a process share one of these; any thread may use it."""

    def __init__(self, *, block: int = BLOCK, most_kept: int = MOST_KEPT) -> None:
        self.block = block
        self.reads = 0
        """How many blocks were read from files so far."""
        self._most_kept = most_kept
        self._changed = Condition()
        self._windows: dict[Stamp, _Window] = {}
        self._free: list[bytearray] = []
        self._kept = 0

    @contextmanager
    def open(self, file: LocalFile) -> Iterator[Blocks]:
        """The blocks of one file. Raises `ChangedWeights` where it is not what was looked into, `InvalidWeights`."""
        reader = _Reader(self, file, open_unchanged(file))
        with self._changed:
            window = self._windows.setdefault(file.stamp, _Window())
            window.readers.append(reader)
        try:
            yield reader
        finally:
            self._leave(reader, window)

    def _leave(self, reader: _Reader, window: _Window) -> None:
        with self._changed:
            window.readers.remove(reader)
            reader.left = True
            if not window.readers:
                del self._windows[reader.file.stamp]
            if not reader.busy:
                self._finish(reader, window)

    def _finish(self, reader: _Reader, window: _Window) -> None:
        os.close(reader.descriptor)
        self._release(reader)
        self._tidy(window)
        if not self._windows:
            self._free.clear()

    def take(self, reader: _Reader) -> memoryview:
        """The reader's next block; it gives back the one before. Only for readers of this."""
        with self._changed:
            window = self._window(reader)
            block = reader.holds
            if block is None or block.kept or block.users > 1 or len(window.readers) > 1 or window.blocks:
                self._release(reader)
                self._tidy(window)
                block = window.blocks.get(reader.offset)
                while block is not None and block.loading:
                    self._changed.wait()
                    window = self._window(reader)
                    block = window.blocks.get(reader.offset)
                if block is not None:
                    block.users += 1
                    reader.holds = block
                    return memoryview(block.buffer)[: block.size]
                block = reader.holds = self._place(reader, window)
            # Else it is alone with a block of its own, which is good enough for the next one too.
            reader.busy = True
        size = 0
        try:
            size = read_at(reader.descriptor, block.buffer, reader.offset)
        finally:
            with self._changed:
                self.reads += 1
                reader.busy = False
                if block.loading:
                    self._settle(block, size, reader.offset, window)
                if reader.left:
                    self._finish(reader, window)
        return memoryview(block.buffer)[:size]

    def _settle(self, block: _Block, size: int, offset: int, window: _Window) -> None:
        """Lets others have a block that was read, or read it for themselves where that failed."""
        block.size, block.loading = size, False
        if not size and block.kept:
            self._drop(window, offset)
        self._changed.notify_all()

    def _window(self, reader: _Reader) -> _Window:
        if reader.left:
            raise RuntimeError("blocks were asked for after their file was closed")
        return self._windows[reader.file.stamp]

    def _place(self, reader: _Reader, window: _Window) -> _Block:
        """Where the next block is read to: kept, if somebody else still comes past it."""
        wanted = any(other is not reader and other.offset <= reader.offset for other in window.readers)
        shared = sum(len(each.readers) > 1 for each in self._windows.values())
        most = self._most_kept // max(1, shared)
        if wanted:
            settled = sorted(offset for offset, block in window.blocks.items() if not block.loading)
            for offset in settled[: max(0, len(window.blocks) + 1 - most)]:
                self._drop(window, offset)
        kept = wanted and len(window.blocks) < most and self._kept < self._most_kept
        block = _Block(self._free.pop() if self._free else bytearray(self.block), kept=kept, loading=kept)
        if kept:
            window.blocks[reader.offset] = block
            self._kept += 1
        return block

    def _tidy(self, window: _Window) -> None:
        """Drops what nobody comes past any more."""
        first = min((reader.offset for reader in window.readers), default=None)
        for offset in [
            at for at, block in window.blocks.items() if not block.loading and (first is None or at < first)
        ]:
            self._drop(window, offset)

    def _drop(self, window: _Window, offset: int) -> None:
        block = window.blocks.pop(offset)
        block.kept = False
        self._kept -= 1
        if not block.users:
            self._free.append(block.buffer)

    def _release(self, reader: _Reader) -> None:
        block, reader.holds = reader.holds, None
        if block is not None:
            block.users -= 1
            if not block.users and not block.kept:
                self._free.append(block.buffer)


class _Reader:
    """One upload's way through a file. The fields are written under the lock of the reads that it belongs to."""

    def __init__(self, reads: SharedReads, file: LocalFile, descriptor: int) -> None:
        self.file = file
        self.descriptor = descriptor
        self.offset = 0
        self.holds: _Block | None = None
        self.busy = False
        """It reads at this moment: its descriptor must stay open."""
        self.left = False
        self._reads = reads

    @property
    def size(self) -> int:
        return self.file.stamp.size

    def __iter__(self) -> Iterator[memoryview]:
        while self.offset < self.size:
            block = self._reads.take(self)
            if len(block) != min(self._reads.block, self.size - self.offset):
                raise ChangedWeights
            last = self.offset + len(block) >= self.size
            if last or self.offset // self._reads.block % _CHECKED_EVERY == 0:
                # The server drops a body that stops short of its end: what changed is never stored (`ollama-api.md` 6).
                ensure_unchanged(self.file, self.descriptor)
            self.offset += len(block)
            yield block
