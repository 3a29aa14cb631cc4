"""Runs what only looks, so that a signal ends it in order: the loop's tasks first, then the command."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from fleet import lookup
from fleet.cli.command import Terminated
from fleet.cli.streams import talk
from fleet.errors import ExitCode

T = TypeVar("T")

_LONGEST = 3.0
"""Seconds that connections get to be closed. Nothing is lost after that: what only looks has nothing to finish."""
_ENDS = {
    signal.SIGINT: ("error: interrupted\n", ExitCode.INTERRUPTED, KeyboardInterrupt),
    signal.SIGTERM: ("error: terminated\n", ExitCode.TERMINATED, Terminated),
}


def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """The result. Raises `Terminated` at SIGTERM and `KeyboardInterrupt` at SIGINT; a second signal ends at once."""
    former = {number: signal.getsignal(number) for number in _ENDS}
    try:
        return lookup.run(_interruptible(work))
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    asked: list[signal.Signals] = []

    def end() -> None:
        told, code, _ = _ENDS[asked[0]]
        talk(told)
        os._exit(code)

    def ask(number: signal.Signals) -> None:
        asked.append(number)
        if len(asked) > 1:
            end()
        task.cancel()
        loop.call_later(_LONGEST, end)

    for number in _ENDS:
        loop.add_signal_handler(number, ask, number)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            raise _ENDS[asked[0]][2] from None
        raise
