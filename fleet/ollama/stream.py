"""Whether a pull, push or create still gets on: limits on silence by phase, and a floor on the rate of transfers.

Pure but for the clock it is given. Servers repeat their progress line while nothing moves, and count a byte a second
as progress (`ollama-api.md` 10.6), so what counts is bytes over time and not lines.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from fleet.ollama.failure import Doing
from fleet.ollama.limits import Limits
from fleet.ollama.wire import Progress

SUCCESS = "success"
_DISTINCT = 20_000
"""Statuses and digests that one stream may show; the largest models have some hundred layers."""


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
        news = (progress.status, progress.digest)
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
        """Adds what is new: `completed` may be absent at zero, fall, or be nonsense; its highest value counts."""
        if progress.digest is None or progress.completed is None:
            return
        before = self._completed.get(progress.digest, 0)
        if progress.completed <= before:
            return
        self._completed[progress.digest] = progress.completed
        self._moved += progress.completed - before
        if progress.total is not None and before < progress.total <= progress.completed:
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
