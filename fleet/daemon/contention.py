"""Warm models that others push out of memory: how long one is left out after fleet loaded it (`reliability.md` W4).

Users and fleet could push each other's models out for ever. Users go first, and the more often it happens the longer.
Lives in one event loop; what was seen here is not kept, the waiting that follows from it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.codes import Code
from fleet.daemon.backoff import Key
from fleet.names import HostName
from fleet.state.attempts import Attempt, RetryClass

SHORTEST = 300.0
"""Seconds between two loads of a model that was pushed out; twice as long each time that it happens again."""
LONGEST = 3600.0
QUIET = 7200.0
"""Seconds after which it counts as happening for the first time."""


@dataclass(slots=True)
class _Loaded:
    at: float
    kept: float | None
    """Seconds for which it was asked to stay; nothing for ever."""
    times: int
    """That it was pushed out in a row."""
    gone: bool = False


class Contention:
    """What fleet loaded, by host and model."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds, and is set by nobody."""
        self._clock = clock
        self._loaded: dict[Key, _Loaded] = {}

    def loaded(self, key: Key, kept: float | None) -> None:
        """It was loaded just now, and is to stay for `kept` seconds, or for ever."""
        before = self._loaded.get(key)
        self._loaded[key] = _Loaded(self._clock(), kept, before.times if before is not None else 0)

    def missed(self, key: Key) -> float:
        """It is not in memory now. Seconds for which it is to be left so; nothing where that was told before, where
        its own time was over, and where it is the first time in long.
        """
        known = self._loaded.get(key)
        if known is None or known.gone:
            return 0.0
        since = self._clock() - known.at
        if since >= QUIET or (known.kept is not None and since >= known.kept):
            del self._loaded[key]
            return 0.0
        known.gone = True
        known.times += 1
        return max(0.0, min(SHORTEST * 2.0 ** min(known.times - 1, 30), LONGEST) - since)

    def times(self, key: Key) -> int:
        """How often it was pushed out in a row."""
        known = self._loaded.get(key)
        return 0 if known is None else known.times

    def drop(self, host: HostName) -> None:
        """Forgets a host that the inventory has no more."""
        for key in [key for key in self._loaded if key[0] == host]:
            del self._loaded[key]


def contended(key: Key, inputs: str, times: int, now: datetime, seconds: float) -> Attempt:
    """What is told and kept of a model that is left out of memory for so long."""
    host, model, action = key
    what = "it was" if times == 1 else f"{times} times in a row it was"
    message = f"{what} pushed out of memory soon after it was loaded"
    due = now + timedelta(seconds=seconds)
    return Attempt(host, model, action, RetryClass.T, times, now, now, due, inputs, Code.CONTENDED.id, message)
