"""The moment by which a run has to be over: for machines that wait for it, such as one that is being set up.

Some time before it nothing new is begun and what runs is let go of in order, as after a first interrupt. At the moment
itself a run that still cannot end is ended at once. What the next run finds then is what any interrupted run leaves.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from fleet.codes import Code
from fleet.errors import ExitCode, FleetError
from fleet.quantities import show_duration

T = TypeVar("T")

_LAST_LOOK = 10.0
"""Seconds for what comes after the last step: each host is looked at again, and the report is written."""

_SHARE = 0.25
"""Of a short deadline, how much is kept for the end."""

_GRACE_OF_CLOSING = 0.6
"""How much of what is kept for the end what is under way may take."""


class DeadlineError(FleetError):
    """The run ended before anything was changed, since its time was over; the next one may have enough."""

    exit_code = ExitCode.PARTIAL


class _Passed(KeyboardInterrupt):
    """Raised by the alarm: whatever lets go of an interrupted run lets go of this one."""


class Deadline:
    """Counted from when it is made, by a clock that is never set back."""

    def __init__(self, seconds: float | None, grace: float) -> None:
        """`grace` is the setting: what a call that is under way may take to end. Without `seconds` there is none."""
        self._seconds = seconds
        self._end = 0.0 if seconds is None else time.monotonic() + seconds
        self._closing = 0.0 if seconds is None else min(grace + _LAST_LOOK, seconds * _SHARE)
        self.grace = grace if seconds is None else min(grace, self._closing * _GRACE_OF_CLOSING)
        """Seconds for calls that are under way, so that they end before the run has to."""

    @property
    def left(self) -> float | None:
        """Seconds in which something new may be begun, none or more; nothing where there is no deadline."""
        return None if self._seconds is None else max(0.0, self._end - self._closing - time.monotonic())

    def __str__(self) -> str:
        """How it was given, in its shortest form."""
        return "" if self._seconds is None else show_duration(self._seconds)

    @contextmanager
    def over(self, meanwhile: str) -> Iterator[None]:
        """Ends what runs in the block, outside of any event loop. Raises `DeadlineError`; `meanwhile` is its past."""
        left = self.left
        if left is None:
            yield
            return

        def ring(*_: object) -> NoReturn:
            raise _Passed

        former = signal.signal(signal.SIGALRM, ring)
        try:
            # Nothing would never ring.
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))
            yield
            signal.setitimer(signal.ITIMER_REAL, 0)
        except _Passed:
            raise self._passed(meanwhile) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    async def within(self, work: Coroutine[Any, Any, T], meanwhile: Callable[[], str]) -> T:
        """Awaits what only looks. Raises `DeadlineError`, told by `meanwhile` once it is known."""
        limit = asyncio.timeout(self.left)
        try:
            async with limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._passed(meanwhile()) from None

    def watch(self, close: Callable[[], None], last: Callable[[], NoReturn]) -> None:
        """In the running loop: calls `close` when nothing new may be begun, and `last` when the run has to be over."""
        if self.left is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.left, close)
            loop.call_later(self.left + self._closing, last)

    def _passed(self, meanwhile: str) -> DeadlineError:
        return DeadlineError(
            f"the deadline of {self} came while {meanwhile}: nothing was changed",
            code=Code.INTERRUPTED,
            hint="the next run goes on; give it more time by `--deadline`",
        )


NEVER = Deadline(None, 0.0)
"""For what may take as long as it takes."""


def end_now(code: ExitCode) -> NoReturn:
    """Ends the process as a second signal does; what was recorded of steps that are done is on disk already."""
    os._exit(code)
