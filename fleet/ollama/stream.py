"""Whether a pull, push or create still gets on: limits on silence by phase, and a floor on the rate of transfers.

Pure but for the clock it is given. Servers repeat their progress line while nothing moves, and count a byte a second
as progress (`ollama-api.md` 10.6), so what counts is bytes over time and not lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from fleet.ollama.failure import Doing
from fleet.ollama.limits import Limits
from fleet.ollama.wire import Progress

SUCCESS = "success"
_DISTINCT = 2000
"""Statuses and digests that one stream may show; the largest models have some hundred layers."""
_TOLD_APART = 200
"""Characters of a status or digest; what differs only behind them is the same."""
_DIGITS = re.compile(r"[0-9]+")


class Phase(StrEnum):
    """What a server is busy with, as far as the limits differ."""

    TALKING = "talking"
    """To the registry or to itself; every line should be new."""
    MOVING = "moving"
    """Bytes over the network."""
    VERIFYING = "verifying"
    WORKING = "working"
    """Parsing, converting, quantizing, writing layers."""
    ENDED = "ended"
    """The last line was `success`."""


class StalledError(Exception):
    """Lines come, and nothing moves. `moved` bytes in `seconds`."""

    def __init__(self, moved: int, seconds: float) -> None:
        super().__init__(f"{moved} bytes in {seconds:.0f}s")
        self.moved = moved
        self.seconds = seconds


class ChatterError(Exception):
    """More different lines than any operation has."""


class Watch:
    """Hears every line of one stream and tells how long to wait for the next."""

    def __init__(self, doing: Doing, limits: Limits, clock: Callable[[], float]) -> None:
        self._doing = doing
        self._limits = limits
        self._clock = clock
        self._seen: set[tuple[str, str | None]] = set()
        self._completed: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._moved = 0
        self._since = clock()
        self._base = 0
        self.phase = Phase.WORKING if doing is Doing.CREATE else Phase.TALKING

    @property
    def patience(self) -> float:
        """Seconds within which the next whole line must come."""
        match self.phase:
            case Phase.TALKING | Phase.MOVING:
                return self._limits.silence
            case Phase.VERIFYING:
                return self._limits.verifying
            case Phase.WORKING:
                return self._limits.creating
            case Phase.ENDED:
                return self._limits.after_success

    def hear(self, progress: Progress) -> None:
        """Takes one line in. Raises `StalledError` or `ChatterError`."""
        self.phase = self._phase_of(progress)
        news = _apart(progress)
        if news not in self._seen:
            if len(self._seen) >= _DISTINCT:
                raise ChatterError
            self._seen.add(news)
            self._begin()
        self._count(progress)
        floor, window = self._demands()
        moved, seconds = self._moved - self._base, self._clock() - self._since
        if moved >= floor:
            self._begin()
        elif seconds > window:
            raise StalledError(moved, seconds)

    def _begin(self) -> None:
        self._base, self._since = self._moved, self._clock()

    def _demands(self) -> tuple[int, float]:
        """How many bytes must move within how many seconds."""
        if self.phase is Phase.MOVING:
            return self._limits.stall_floor, self._limits.stall_window
        # Work is counted in units of its own: any growth will do. Without counts, only a new status is progress.
        return 1, max(self.patience, self._limits.stall_window)

    def _count(self, progress: Progress) -> None:
        """Adds what is new: `completed` may be absent at zero, fall, or be nonsense; its highest value counts.

        It counts up to the total, which is the first one told: a layer has one size, and one end.
        """
        if progress.digest is None:
            return
        digest = progress.digest[:_TOLD_APART]
        if progress.total is not None and progress.total > 0:
            self._total.setdefault(digest, progress.total)
        if progress.completed is None:
            return
        before, total = self._completed.get(digest, 0), self._total.get(digest)
        completed = progress.completed if total is None else min(progress.completed, total)
        if completed <= before:
            return
        self._completed[digest] = completed
        self._moved += completed - before
        if completed == total:
            # The end of a layer is progress, however small it was.
            self._begin()

    def _phase_of(self, progress: Progress) -> Phase:
        if progress.status == SUCCESS:
            return Phase.ENDED
        if self._doing is Doing.CREATE:
            return Phase.WORKING
        if progress.digest is not None:
            return Phase.MOVING
        return Phase.VERIFYING if progress.status.startswith("verifying") else Phase.TALKING


def _apart(progress: Progress) -> tuple[str, str | None]:
    """What makes a line another one than those before it: of one digest, numbers in the status do not."""
    status = progress.status[:_TOLD_APART]
    if progress.digest is None:
        return status, None
    return _DIGITS.sub("0", status), progress.digest[:_TOLD_APART]
