"""Tells how far the reading of local files is: a line that grows on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from fleet.cli.streams import is_terminal, talk
from fleet.quantities import show_size
from fleet.weights.local import LocalFile

_QUICK = 1.0
"""Seconds in which nobody wonders what is going on."""
_INTERVALS = (0.2, 10.0)
"""Seconds between two words on a terminal, and elsewhere."""


@contextmanager
def reading(files: Iterable[LocalFile]) -> Iterator[Callable[[LocalFile, int], None]]:
    """What to call with each file and the bytes read of it since the last call; silent about what is quick."""
    total = sum({file.stamp: file.stamp.size for file in files}.values())
    terminal = is_terminal(sys.stderr)
    begun = told = time.monotonic()
    done, shown = 0, False

    def moved(_: LocalFile, size: int) -> None:
        nonlocal done, told, shown
        done += size
        now = time.monotonic()
        if now - begun < _QUICK or now - told < _INTERVALS[0 if terminal else 1]:
            return
        told, shown = now, True
        line = f"hashing local files: {show_size(done)} of {show_size(total)}"
        talk(f"\r{line}\x1b[K" if terminal else f"{line}\n")

    try:
        yield moved
    finally:
        if shown and terminal:
            talk("\r\x1b[K")
