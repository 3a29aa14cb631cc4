"""The time a host lives in. By default it follows the event loop, so that a loop in virtual time takes its hosts along."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Time:
    """`wall` is in nanoseconds since 1970, `steady` in seconds from anywhere; `sleep` passes seconds."""

    wall: Callable[[], int]
    steady: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


def host_time(
    clock: Callable[[], float] | None,
    monotonic: Callable[[], float] | None,
    sleep: Callable[[float], Awaitable[None]],
) -> Time:
    """The time made of these, seconds all; without a clock the wall's time runs with the steady one."""
    steady = monotonic or _LoopTime()
    return Time(_running_with(steady) if clock is None else lambda: int(clock() * 10**9), steady, sleep)


class _LoopTime:
    """The time of the loop that runs, or ran last; before there was any, the machine's."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> float:
        self._loop = _running_loop() or self._loop
        return self._loop.time() if self._loop else time.monotonic()


def _running_with(steady: Callable[[], float]) -> Callable[[], int]:
    """A wall clock that is set once, when it is first asked for in a loop."""
    ahead: int | None = None

    def wall() -> int:
        nonlocal ahead
        if ahead is None:
            now = time.time_ns()
            if _running_loop() is None:
                return now
            ahead = now - int(steady() * 10**9)
        return int(steady() * 10**9) + ahead

    return wall


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
