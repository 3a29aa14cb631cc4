"""Readings that count: of files that were quiet before, and stood as before afterwards (`reliability.md` D7).

Somebody may be writing them: a checkout, rsync, an editor. Times alone are not trusted, since clocks are set.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from fleet.daemon.source.reading import Snapshot
from fleet.daemon.source.scanning import Scan, scan
from fleet.daemon.source.source import SourceUnreachable
from fleet.errors import InputError

PATIENCE = 15
"""How many times `settle` files may go on changing before they are read anyway."""
_TRIES = 3
"""How often they are read at least before it is given up."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What tells and takes time."""

    wall: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Steady:
    """Reads what lies at `paths`, and remembers how it stood. `settle` are seconds."""

    def __init__(self, paths: Iterable[str], settle: float, clock: Clock, *, named: Iterable[str] = ()) -> None:
        self._paths = tuple(paths)
        self._settle = settle
        self._clock = clock
        self._always = tuple(named)
        self._named: tuple[str, ...] = self._always
        self._last: Scan | None = None

    async def moved(self) -> bool:
        """Whether anything stands otherwise than at the last reading; yes before the first one."""
        return self._last is None or (await self._scan()).files != self._last.files

    async def read(self, reading: Callable[[], Awaitable[Snapshot]]) -> Snapshot:
        """Raises what the reading raises, and `SourceUnreachable` where the files never stood still."""
        begun, tries = self._clock.monotonic(), 0
        while True:
            before = await self._quiet(begun)
            began = self._clock.wall()
            found, fault = await _outcome(reading)
            if found is not None:
                self._named = tuple(dict.fromkeys((*self._always, *found.files)))
            after = await self._scan()
            if self._same(before, after, began):
                self._last = after
                if fault is not None:
                    raise fault
                if found is not None:
                    return found
            tries += 1
            if tries >= _TRIES and self._over(begun):
                raise SourceUnreachable(
                    "the files changed again and again while they were read",
                    hint="look for what writes them all the time, or let it replace them at once by renaming",
                )

    def _same(self, before: Scan, after: Scan, began: int) -> bool:
        """Whether all stood alike. Files that the reading only then named must have been quiet when it began."""
        if any(after.files.get(path) != told for path, told in before.files.items()):
            return False
        come = after.files.keys() - before.files.keys()
        newest = max((max(after.files[path][3:5], default=0) for path in come), default=0)
        return newest + self._nanoseconds <= began if come else True

    async def _quiet(self, begun: float) -> Scan:
        """How the files stand, once they were quiet; or at last, however they are."""
        now = await self._scan()
        while True:
            agreed = self._last is not None and self._last == now
            if not self._settle or agreed or now.newest + self._nanoseconds <= self._clock.wall() or self._over(begun):
                return now
            await self._clock.sleep(self._settle)
            again = await self._scan()
            if again == now:
                return now
            now = again

    async def _scan(self) -> Scan:
        return await asyncio.to_thread(scan, self._paths, self._named)

    def _over(self, begun: float) -> bool:
        return self._clock.monotonic() - begun >= PATIENCE * self._settle

    @property
    def _nanoseconds(self) -> int:
        return int(self._settle * 1e9)


async def _outcome(reading: Callable[[], Awaitable[Snapshot]]) -> tuple[Snapshot | None, InputError | None]:
    """A fault counts like anything else that was read: only where the files stood still."""
    try:
        return await reading(), None
    except InputError as fault:
        return None, fault
