"""How often something may be told."""

from __future__ import annotations

from collections.abc import Hashable


class Pace:
    """Lets one thing of each kind through per interval."""

    def __init__(self, interval: float, *, first: bool = True) -> None:
        """`interval` in seconds; without `first`, the first one of a kind has to wait for it too."""
        self._interval = interval
        self._first = first
        self._last: dict[Hashable, float] = {}

    def due(self, kind: Hashable, now: float) -> bool:
        """Whether `kind` may be told at `now`, seconds of a clock that is never set back; if so, it counts as told."""
        last = self._last.get(kind)
        if last is None:
            self._last[kind] = now
            return self._first
        if now - last < self._interval:
            return False
        self._last[kind] = now
        return True

    def forget(self, kind: Hashable) -> None:
        """`kind` will not come again."""
        self._last.pop(kind, None)
