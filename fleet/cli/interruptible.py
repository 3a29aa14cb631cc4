"""Runs what only looks, so that a signal ends it in order: the loop's tasks first, then the command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from fleet.cli.command import Terminated

T = TypeVar("T")


def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """The result. Raises `Terminated` at SIGTERM and `KeyboardInterrupt` at SIGINT, which asyncio sees to itself."""
    former = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(_terminable(work))
    finally:
        signal.signal(signal.SIGTERM, former)


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    asked = False

    def ask() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ask)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            raise Terminated from None
        raise
