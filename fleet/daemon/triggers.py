"""What asks for a pass: several asking before it begins get one. Lives in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.names import HostName

START = "start"
INTERVAL = "interval"
CALENDAR = "calendar"
SIGNAL = "signal"
REQUEST = "request"
RETRY = "retry"
WOKE = "woke"
"""The machine slept: whatever was known is old."""
SOURCE = "source"
"""A reading that took longer than anybody waited for it came to an end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one pass is for."""

    triggers: tuple[str, ...]
    """In the order in which they came, each once."""
    hosts: frozenset[HostName] | None = None
    """Nothing: all of them."""
    at_once: frozenset[HostName] = frozenset()
    """Those that a person named."""


class Triggers:
    """Collects until somebody takes them."""

    def __init__(self) -> None:
        self._words: dict[str, None] = {}
        self._hosts: set[HostName] | None = set()
        self._at_once: set[HostName] = set()
        self._there = asyncio.Event()

    def add(self, *words: str, hosts: Iterable[HostName] | None = None, at_once: Iterable[HostName] = ()) -> None:
        """Without `hosts` it is about all of them."""
        self._words.update(dict.fromkeys(words))
        if hosts is None:
            self._hosts = None
        elif self._hosts is not None:
            self._hosts.update(hosts)
        self._at_once.update(at_once)
        self._there.set()

    def put_back(self, asked: Asked) -> None:
        """What could not be done is asked for still, by whoever looks the next time."""
        self.add(*asked.triggers, hosts=asked.hosts, at_once=asked.at_once)
        self._there.clear()

    def poke(self) -> None:
        """Ends the waiting without asking for anything: something may be due earlier than it was."""
        self._there.set()

    async def wait(self, seconds: float) -> bool:
        """Whether anything asked within that time."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._there.wait()
        except TimeoutError:
            return self._there.is_set()
        return True

    def take(self) -> Asked:
        """All that was asked for, which is then forgotten."""
        asked = Asked(
            tuple(self._words),
            None if self._hosts is None else frozenset(self._hosts),
            frozenset(self._at_once),
        )
        self._words, self._hosts, self._at_once = {}, set(), set()
        self._there.clear()
        return asked
