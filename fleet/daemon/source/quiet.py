"""When a storm of changes is over, or has lasted long enough: one word for all of it (`reliability.md` D14). Pure."""

from __future__ import annotations

from fleet.daemon.source.steady import PATIENCE


class Quiet:
    """Takes what is told of changes, by the monotonic clock; `settle` are seconds without any that make a word due."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._first: float | None = None
        self._last = 0.0

    def due(self, now: float, *, changed: bool) -> bool:
        """Whether a word is due at this moment, at which something did or did not change: once it was quiet, and at the
        latest after `PATIENCE` times as long.
        """
        if changed:
            self._first = now if self._first is None else self._first
            self._last = now
        if self._first is None:
            return False
        if now - self._last >= self._settle or now - self._first >= PATIENCE * self._settle:
            self._first = None
            return True
        return False
