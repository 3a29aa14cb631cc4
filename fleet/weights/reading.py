"""The blocks of an open file, in order: read when they are asked for, or by a thread that is some blocks ahead."""

from __future__ import annotations

from collections.abc import Generator
from queue import SimpleQueue
from threading import Thread

from fleet.weights.unchanged import read_at

AHEAD = 3
"""Blocks that are being read, wait, or are in use."""


def in_turn(descriptor: int, block: int) -> Generator[memoryview, None, None]:
    """Each block is good until the next one is asked for. Raises `InvalidWeights`."""
    buffer, done = bytearray(block), 0
    while size := read_at(descriptor, buffer, done):
        yield memoryview(buffer)[:size]
        done += size


def ahead(descriptor: int, block: int) -> Generator[memoryview, None, None]:
    """As `in_turn`; the thread ends before this does, so it has to be closed where it is not gone through to its end.

    Copying a file out of the system's memory takes a tenth of the time of hashing it, on a core that has nothing else
    to do.
    """
    free, full = SimpleQueue[bytearray | None](), SimpleQueue[tuple[bytearray, int] | BaseException]()

    def read() -> None:
        done = 0
        try:
            while (buffer := free.get()) is not None:
                size = read_at(descriptor, buffer, done)
                full.put((buffer, size))
                done += size
        except BaseException as error:
            full.put(error)

    for _ in range(AHEAD):
        free.put(bytearray(block))
    thread = Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            got = full.get()
            if isinstance(got, BaseException):
                raise got
            buffer, size = got
            if not size:
                return
            yield memoryview(buffer)[:size]
            free.put(buffer)
    finally:
        free.put(None)
        thread.join()
