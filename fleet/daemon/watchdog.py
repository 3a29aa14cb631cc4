"""When the service manager hears that the daemon is alive: only while its loop turns, passes begin and nothing is overdue.

A sign of life from a thread of its own would prove nothing; this one comes from the loop that does the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from fleet.foreign import clean
from fleet.quantities import show_duration

LAG_LIMIT = 5.0
"""Seconds by which timers may be late. Work belongs into threads, so that even a tenth of a second is unusual."""
_RETRY = 1.0
"""Seconds until the next look, where there was no sign of life: one short trouble must not cost a whole interval."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """An operation that has begun and not ended."""

    what: str
    """For people: `pull qwen3:8b on gpu-a`."""
    deadline: float | None = None
    """The monotonic moment after which it should have been given up; nothing for one that progress alone decides on."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the daemon is, in monotonic seconds."""

    lag: float
    """By how much timers of the loop are late now: `LagProbe.now()`."""
    begun: float
    """When the last round of passes began; when the daemon started, before the first one."""
    interval: float
    """Seconds between two rounds."""
    in_flight: tuple[InFlight, ...] = ()
    lag_limit: float = LAG_LIMIT


class Told(Protocol):
    """What `feed` needs of `fleet.daemon.notify.Notifier`."""

    watchdog_interval: float | None
    told: str

    def status(self, text: str) -> None: ...
    def watchdog(self) -> None: ...


def why_not(pulse: Pulse, now: float) -> str | None:
    """Why there is to be no sign of life at the monotonic moment `now`; nothing where all is well. Pure."""
    if pulse.lag > pulse.lag_limit:
        return f"the event loop is {show_duration(pulse.lag)} late"
    since = now - pulse.begun
    if since > 2 * pulse.interval:
        return f"no pass began for {show_duration(since)}, and one is due every {show_duration(pulse.interval)}"
    overdue = [(now - each.deadline, each.what) for each in pulse.in_flight if each.deadline is not None]
    late, what = max(overdue, default=(0.0, ""))
    return f"{show_duration(late)} past its deadline: {clean(what)}" if late > 0 else None


async def feed(
    notifier: Told,
    pulse: Callable[[], Pulse],
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Gives signs of life at the notifier's interval, for ever, or not at all where nobody waits for them.

    While there is a reason not to, the status tells it. `clock` is monotonic.
    """
    every = notifier.watchdog_interval
    if every is None:
        return
    complaint, before = "", ""
    while True:
        reason = why_not(pulse(), clock())
        if reason is None:
            notifier.watchdog()
            if complaint and notifier.told == complaint:
                notifier.status(before)
            complaint = ""
        else:
            if not complaint:
                before = notifier.told
            notifier.status(f"no sign of life: {reason}")
            complaint = notifier.told
        await sleep(every if reason is None else min(every, _RETRY))


class LagProbe:
    """How late a timer of the loop fires: four looks a second, kept for a minute."""

    EVERY = 0.25
    KEPT = 60.0

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._found: deque[tuple[float, float]] = deque(maxlen=2 * round(self.KEPT / self.EVERY))
        self._due = inf
        self._last = 0.0

    async def run(self) -> None:
        """Measures for ever."""
        while True:
            self._due = self._clock() + self.EVERY
            await self._sleep(self.EVERY)
            self._found_late(self._clock())

    def now(self) -> float:
        """Seconds: the last timer's, or the pending one's where that is later already."""
        return max(self._last, self._clock() - self._due)

    def worst(self) -> float:
        """Seconds, over the last minute; 0 where nothing was measured."""
        return max(self._minute(), default=0.0)

    def p99(self) -> float:
        """What 99 of 100 timers of the last minute kept, in seconds."""
        found = sorted(self._minute())
        return found[(len(found) * 99 - 1) // 100] if found else 0.0

    def _found_late(self, now: float) -> None:
        self._last = late = max(0.0, now - self._due)
        # While the loop was held up for seconds, all the timers that nobody could set would have been late as well, each
        # by a little less: without them, a hold-up would count as one late timer among hundreds.
        missed = min(int(late / self.EVERY), round(self.KEPT / self.EVERY))
        self._found.extend((now, late - nth * self.EVERY) for nth in range(missed, -1, -1))

    def _minute(self) -> list[float]:
        since = self._clock() - self.KEPT
        return [late for moment, late in self._found if moment >= since]
