"""Tells when the machine was suspended: timers know nothing of it, and hosts may have changed altogether meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

EVERY = 1.0
"""Seconds between two looks, as timers count them."""
_COUNTS = 5.0
"""Seconds of sleep from which on what is known counts as old. Two clocks read one after the other differ by less."""


async def mind(
    asleep: Callable[[], float], sleep: Callable[[float], Awaitable[None]], woke: Callable[[], None]
) -> None:
    """For ever: calls `woke` each time that the machine slept. `asleep` tells the seconds that it slept in all."""
    before = asleep()
    while True:
        await sleep(EVERY)
        now = asleep()
        if now - before >= _COUNTS:
            woke()
        before = now
