"""Bandwidth and latency of the registry: how long each piece has to wait before it may be sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Line:
    """A line of `rate` bytes per second; None is as fast as the machine. Pieces pass it one after the other."""

    rate: float | None
    free_at: float = 0.0

    def delay(self, size: int, now: float) -> float:
        """Books `size` bytes at the time `now` and says in how many seconds the line has passed them."""
        if self.rate is None:
            return 0.0
        self.free_at = max(now, self.free_at) + size / self.rate
        return self.free_at - now


@dataclass(slots=True)
class Pace:
    """What all requests share (`whole`) and what each has of its own (`request_rate`, bytes per second)."""

    whole: Line
    request_rate: float | None
    latency: float
    sleep: Sleep
    now: Callable[[], float]

    def request(self) -> Line:
        """The line of one new request."""
        return Line(self.request_rate)

    def piece(self, limit: int) -> int:
        """How many bytes to send at once, so that a slow line flows rather than jumps: a twentieth of a second's."""
        slowest = min(rate for rate in (self.whole.rate, self.request_rate, float(limit) * 20) if rate is not None)
        return max(1, min(limit, int(slowest / 20)))

    async def before_reply(self) -> None:
        if self.latency:
            await self.sleep(self.latency)

    async def passed(self, own: Line, size: int) -> None:
        """Returns when `size` bytes went through both lines."""
        now = self.now()
        seconds = max(self.whole.delay(size, now), own.delay(size, now))
        if seconds > 0:
            await self.sleep(seconds)
