"""A file of the size of weights, read once so that it lies in memory as far as the system is concerned."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIECE = 1 << 20


@contextmanager
def large_file(size: int) -> Iterator[Path]:
    """A file of so many bytes that are not all alike, on disk while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.gguf")
        piece = os.urandom(_PIECE)
        with path.open("wb") as file:
            for number in range(0, size, _PIECE):
                file.write(number.to_bytes(8) + piece[8 : size - number])
            file.flush()
            os.fsync(file.fileno())  # so that nothing is written any more while it is read
        with path.open("rb", buffering=0) as file:
            while file.read(_PIECE):
                pass
        yield path
