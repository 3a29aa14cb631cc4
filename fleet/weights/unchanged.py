"""Opens the very version of a file that was looked into, and notices when it becomes another one.

Only the path is remembered between looking and reading, and anything may lie there by then: what is opened is compared
with the stamp before a byte is taken from it (`reliability.md` A.5, C.3 U4 and U6).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.weights.faults import ChangedWeights, InvalidWeights
from fleet.weights.local import LocalFile

# A FIFO that took the file's place must not block, nor a link lead elsewhere.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}
_SEQUENTIAL = getattr(os, "POSIX_FADV_SEQUENTIAL", None)


def open_unchanged(file: LocalFile) -> int:
    """A descriptor of the file; the caller closes it. Raises `InvalidWeights`, `ChangedWeights`."""
    try:
        descriptor = os.open(file.path, _FLAGS)
    except OSError as error:
        if error.errno in _GONE:
            raise ChangedWeights("moved, removed or replaced since the manifests were read") from None
        raise unreadable(error) from None
    try:
        ensure_unchanged(file, descriptor, "changed since the manifests were read")
        if _SEQUENTIAL is not None:
            # Lets the system read further ahead.
            os.posix_fadvise(descriptor, 0, 0, _SEQUENTIAL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def unchanged(file: LocalFile) -> Iterator[int]:
    """A descriptor of the file for the time of a block. Raises as `open_unchanged` does."""
    descriptor = open_unchanged(file)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def ensure_unchanged(file: LocalFile, descriptor: int, otherwise: str = "changed while it was read") -> None:
    """Raises `ChangedWeights`, with these words, where what is open is not what was looked into."""
    try:
        same = file.stamp.is_of(os.fstat(descriptor))
    except OSError as error:
        raise unreadable(error) from None
    if not same:
        raise ChangedWeights(otherwise)


def read_at(descriptor: int, buffer: bytearray | memoryview, offset: int) -> int:
    """Fills `buffer` from `offset` on, as far as the file goes; the number of bytes. Raises `InvalidWeights`."""
    try:
        filled = os.preadv(descriptor, [buffer], offset)
        while 0 < filled < len(buffer):
            more = os.preadv(descriptor, [memoryview(buffer)[filled:]], offset + filled)
            if not more:
                break
            filled += more
    except OSError as error:
        raise unreadable(error) from None
    return filled


def unreadable(error: OSError) -> InvalidWeights:
    return InvalidWeights(f"cannot be read: {error.strerror}")
