"""How a person's wish to stop reaches the pass: start nothing new, detach from what does not end soon."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fleet.codes import Code
from fleet.errors import ExitCode, OutcomeUnknown

T = TypeVar("T")


class Stop:
    """Asked for once, by whoever handles the signal; lives in one event loop."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.exit_code: ExitCode | None = None

    @property
    def requested(self) -> bool:
        return self._asked.is_set()

    def request(self, exit_code: ExitCode = ExitCode.INTERRUPTED) -> None:
        """Takes effect at the next step of each host, and on long calls after their time of grace."""
        self.exit_code = self.exit_code or exit_code
        self._asked.set()

    async def heed(self, call: Coroutine[Any, Any, T], grace: float) -> T:
        """Awaits a long call, but no longer than `grace` seconds after the wish to stop.

        Raises `OutcomeUnknown` for one that was detached from; a server goes on with some of them by itself.
        """
        running = asyncio.ensure_future(call)
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and grace > 0:
                await asyncio.wait({running}, timeout=grace)
            if running.done():
                return running.result()
            raise OutcomeUnknown("interrupted while the host was at work", code=Code.INTERRUPTED)
        finally:
            for task in (asked, running):
                task.cancel()
            await asyncio.gather(asked, running, return_exceptions=True)
