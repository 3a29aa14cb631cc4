"""How long registries are put up with: further tries, waits that they ask for, and when one is asked no more in a run.

A registry that is down must not make a pass over hundreds of models take hours, nor be asked hundreds of times
(`reliability.md` C.5, R3 and R4).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fleet.endpoint import Endpoint
from fleet.registry.limits import Limits
from fleet.registry.link import Link, NoReply, Reply, shown
from fleet.registry.refusal import retry_after, told_of
from fleet.registry.served import trouble

_SHORTEST_WAIT = 1.0
"""A `Retry-After` below it counts as none: registries would be asked in circles."""


@dataclass(slots=True)
class _Standing:
    """How one registry stands in this run."""

    ended: str | None = None
    """Why it is asked no more."""
    failed: int = 0
    """Requests in a row that came to nothing."""
    unreached: int = 0
    """Connections in a row that did."""
    closed_until: float = 0.0
    """By the clock; whoever asks waits until then."""
    waited: float = 0.0
    """Seconds that it had fleet wait by its `Retry-After`."""

    def is_over(self) -> bool:
        return self.ended is not None

    def end(self, why: str) -> None:
        """The first reason stays."""
        if self.ended is None:
            self.ended = why

    def close(self, until: float) -> float:
        """Lets nobody in before then, and tells how many seconds that adds."""
        before, self.closed_until = self.closed_until, max(self.closed_until, until)
        return self.closed_until - before


class Patience:
    """Requests to registries, for all questions of a run together."""

    def __init__(
        self, link: Link, limits: Limits, clock: Callable[[], float], pause: Callable[[float], Awaitable[None]]
    ) -> None:
        self._link = link
        self._limits = limits
        self._clock = clock
        self._pause = pause
        self._places = asyncio.Semaphore(limits.at_once)
        self._standings: dict[str, _Standing] = {}

    async def reply(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        *,
        accept: str = "*/*",
        most: int = 0,
        token: str | None = None,
        whole: bool = True,
    ) -> Reply:
        """A reply that says something of what was asked; trouble that may pass is waited out as far as that goes.

        Raises `Unanswered` with `REGISTRY_TROUBLE`.
        """
        standing, where = self._standing(endpoint), shown(endpoint, path)
        tried = 0
        while True:
            await self._let_in(standing)
            tried += 1
            async with self._places:
                if standing.is_over():
                    raise trouble(f"{shown(endpoint)} is asked no more in this run: {standing.ended}")
                try:
                    reply = await self._link.exchange(
                        method, endpoint, path, accept=accept, most=most, token=token, whole=whole
                    )
                except NoReply as failure:
                    self._failed(standing, str(failure), tried, reached=not failure.ends, again=failure.again)
                    if not failure.again or tried >= self._limits.tries:
                        raise trouble(f"{where}: {failure}", failure.hint) from failure
                    continue
                if reply.status != 429 and reply.status < 500:
                    standing.failed = standing.unreached = 0
                    return reply
                if self._asks_to_wait(standing, reply):
                    tried -= 1
                else:
                    self._failed(standing, f"it answered {reply.status}", tried)
                if standing.is_over() or tried >= self._limits.tries:
                    wait = retry_after(reply, datetime.now(UTC))
                    asks = f", and asks to wait {wait:g}s" if wait else ""
                    raise trouble(f"{where} answered {reply.status}{told_of(reply)}{asks}")

    def _standing(self, endpoint: Endpoint) -> _Standing:
        return self._standings.setdefault(endpoint.origin, _Standing())

    async def _let_in(self, standing: _Standing) -> None:
        left = standing.closed_until - self._clock()
        if left > 0 and not standing.is_over():
            await self._pause(left)

    def _failed(self, standing: _Standing, why: str, tried: int, *, reached: bool = True, again: bool = True) -> None:
        """Counts a failure, and has everybody wait a little before the next request."""
        standing.failed += 1
        standing.unreached = 0 if reached else standing.unreached + 1
        if standing.failed >= self._limits.failures or standing.unreached >= self._limits.tries:
            standing.end(why)
        if not reached and not again:
            standing.end(why)
        longest = min(self._limits.cap, self._limits.first * 2.0 ** (tried - 1))
        standing.close(self._clock() + random.uniform(0, longest))  # noqa: S311  # jitter, no secret

    def _asks_to_wait(self, standing: _Standing, reply: Reply) -> bool:
        """Notes for all how long it asks to wait. Beyond the limit nobody waits, and it is asked no more."""
        asked = retry_after(reply, datetime.now(UTC))
        if asked is None or asked < _SHORTEST_WAIT:
            return False
        standing.closed_until = max(standing.closed_until, self._clock())
        standing.waited += standing.close(self._clock() + asked)
        if standing.waited > self._limits.waiting:
            standing.end(f"it answered {reply.status} and asks to wait {asked:g}s")
        return True
