"""What is left alone for a while because it failed, over restarts too. Lives in one event loop.

Moments on disk are of the wall clock, for people and for the next process. In this process waiting follows the
monotonic clock: setting the wall clock back silences nothing (`reliability.md` T1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.daemon.waiting import LOOK, brought_here
from fleet.names import HostName
from fleet.settings import Settings
from fleet.state.attempts import Attempt

Key = tuple[HostName, str, str]
"""Host, model as text (empty: the host itself), action."""


_BEGUN = float("-inf")


def slept() -> float:
    """From Linux, whose clock of the boot goes on while the machine is suspended, and whose monotonic one does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Several of them, since only one may be set by people, and only one stands still while the machine sleeps."""

    monotonic: Callable[[], float]
    """Seconds from some moment on."""
    now: Callable[[], datetime]
    """UTC."""
    asleep: Callable[[], float] = slept
    """For how many seconds the machine slept since it started, which the monotonic clock leaves out."""


class BackOff:
    """All attempts that failed and were not made up for."""

    def __init__(self, kept: Iterable[Attempt], settings: Settings, clocks: Clocks) -> None:
        self._settings = settings
        self._clocks = clocks
        self._attempts: dict[Key, Attempt] = {}
        self._of: dict[HostName, set[Key]] = {}
        self._due: dict[Key, float] = {}
        now = clocks.now()
        for attempt in kept:
            self.put(brought_here(attempt, now, settings))

    def put(self, attempt: Attempt) -> None:
        key = key_of(attempt)
        wait = (attempt.next_try - self._clocks.now()).total_seconds()
        self._attempts[key] = attempt
        self._of.setdefault(attempt.host, set()).add(key)
        self._due[key] = self._clocks.monotonic() + wait

    def drop(self, keys: Iterable[Key]) -> list[Key]:
        """Forgets what succeeded or is not wanted any more; tells which of it there was."""
        gone = [key for key in dict.fromkeys(keys) if key in self._attempts]
        for key in gone:
            del self._attempts[key], self._due[key]
            self._of[key[0]].discard(key)
        return gone

    def of(self, host: HostName) -> Mapping[Key, Attempt]:
        return {key: self._attempts[key] for key in self._of.get(host, ())}

    def get(self, key: Key) -> Attempt | None:
        return self._attempts.get(key)

    def held(self, key: Key, inputs: str) -> bool:
        """Whether it is to be left alone now. Other inputs than those that failed are not waited with."""
        attempt = self._attempts.get(key)
        if attempt is None or attempt.inputs != inputs:
            return False
        return self._clocks.monotonic() < self._due[key]

    def next_try(self, key: Key) -> datetime | None:
        """When it is tried again, by the wall clock as it is now; nothing once that may happen at once."""
        due = self._due.get(key)
        if due is None or (left := due - self._clocks.monotonic()) <= 0:
            return None
        return (self._clocks.now() + timedelta(seconds=left)).replace(microsecond=0)

    def release(self, hosts: Iterable[HostName]) -> None:
        """Lets everything of these hosts be tried at once; how often it failed is kept."""
        wanted = set(hosts)
        for key in self._due:
            if key[0] in wanted:
                self._due[key] = self._clocks.monotonic()

    def due_hosts(self) -> set[HostName]:
        """Hosts with something that may be tried again since its time has come, and was not begun since."""
        now = self._clocks.monotonic()
        return {key[0] for key, due in self._due.items() if _BEGUN < due <= now}

    def begin(self, host: HostName) -> None:
        """Work on the host begins: what may be tried by now is, or is left for what it needs, and asks no more."""
        now = self._clocks.monotonic()
        for key in self._of.get(host, ()):
            if self._due[key] <= now:
                self._due[key] = _BEGUN

    def next_due(self) -> float | None:
        """The next moment of the monotonic clock that anything waits for."""
        now = self._clocks.monotonic()
        return min((due for due in self._due.values() if due > now), default=None)


def key_of(attempt: Attempt) -> Key:
    return attempt.host, attempt.model, attempt.action


def look_of(host: HostName) -> Key:
    return host, "", LOOK
