"""When hosts are asked no more to pull from a registry that is overloaded or down (`reliability.md` C.5, R3 and R4).

A hundred hosts that each try a few times are what an overloaded registry needs least. What one host tells of its own
network is no reason for others, so that failures of two hosts at least are wanted. Lives in one event loop.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError
from fleet.names import HostName
from fleet.ollama.wire import Progress
from fleet.quantities import show_duration

FAILURES = 5
"""In a row, over all hosts, after which a registry is left alone."""
HOSTS = 2
"""That told of them, at least."""
SHORTEST = 60.0
"""Seconds for which it is left alone at first; twice as long each time that the next try fails as well."""
LONGEST = 900.0

_ANSWERED = frozenset({Code.NOT_IN_REGISTRY, Code.NEWER_SERVER_NEEDED, Code.REGISTRY_UNAUTHORIZED})
"""Refusals of a registry that works."""


@dataclass(slots=True)
class _Standing:
    """How one registry stands."""

    failed: int = 0
    hosts: set[HostName] = field(default_factory=set)
    """That told of these failures."""
    wait: float = 0.0
    """Seconds of the last time that it was left alone; zero while it is not."""
    until: float = 0.0
    """By the clock; the first who asks then tries for all."""
    trying: HostName | None = None
    """Who tries for all."""
    words: str = ""
    """The last failure."""


class Breaker:
    """All registries that hosts pull from, for all hosts of a process together."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds, and is set by nobody."""
        self._clock = clock
        self._standings: dict[str, _Standing] = {}

    def check(self, registry: str, host: HostName) -> None:
        """Raises `HostAnswered` with `REGISTRY_LEFT_ALONE` where the host is not to be asked to pull from it now."""
        standing = self._standings.get(registry.lower())
        if standing is None or not standing.wait or standing.trying == host:
            return
        left = standing.until - self._clock()
        if left <= 0 and standing.trying is None:
            return
        when = f"for another {show_duration(float(int(left) + 1))}" if left > 0 else f"until `{standing.trying}` got on"
        raise HostAnswered(
            f"`{registry}` failed on several hosts and is left alone {when}; the last failure was: {standing.words}",
            code=Code.REGISTRY_LEFT_ALONE,
            status=200,
            hint=Code.REGISTRY_LEFT_ALONE.cure,
        )

    async def through(
        self, registry: str, host: HostName, begin: Callable[[], AsyncGenerator[Progress, None]]
    ) -> AsyncGenerator[Progress, None]:
        """One try of a pull, learnt from. Raises as `check` and as the pull itself does."""
        first: dict[str | None, int] = {}
        async with self._counted(registry, host) as standing, aclosing(begin()) as lines:
            async for line in lines:
                done = line.completed or 0
                if standing.wait and done > first.setdefault(line.digest, done):
                    # What was there before is counted at once: only more than that came from the registry.
                    self._works(standing)
                yield line

    @asynccontextmanager
    async def _counted(self, registry: str, host: HostName) -> AsyncIterator[_Standing]:
        self.check(registry, host)
        standing = self._standings.setdefault(registry.lower(), _Standing())
        tries = bool(standing.wait)
        if tries:
            standing.trying = host
        try:
            yield standing
        except HostError as error:
            if error.code is Code.REGISTRY_TROUBLE:
                self._failed(standing, host, str(error), tries=tries)
            elif error.code in _ANSWERED:
                self._works(standing)
            raise
        else:
            self._works(standing)
        finally:
            if tries and standing.trying == host:
                standing.trying = None

    def _failed(self, standing: _Standing, host: HostName, words: str, *, tries: bool) -> None:
        standing.failed += 1
        standing.hosts.add(host)
        standing.words = words
        if tries and standing.wait:
            standing.wait = min(2 * standing.wait, LONGEST)
        elif not standing.wait and standing.failed >= FAILURES and len(standing.hosts) >= HOSTS:
            standing.wait = SHORTEST
        else:
            return
        standing.until = self._clock() + standing.wait

    def _works(self, standing: _Standing) -> None:
        standing.failed = 0
        standing.hosts.clear()
        standing.wait = standing.until = 0.0
