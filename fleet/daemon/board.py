"""What the daemon knows at this moment: written by passes, read by the listener. Lives in one event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from fleet.daemon.status import Condition, FleetStatus, HostStatus
from fleet.names import HostName


class Board:
    """The newest values, and a way to wait for newer ones. Values are frozen, so that readers may keep them."""

    def __init__(self, fleet: FleetStatus) -> None:
        self._fleet = fleet
        self._hosts: dict[HostName, HostStatus] = {}
        self._versions: dict[HostName, int] = {}
        self._version = 0
        self._changed = asyncio.Event()
        self.on_change: Callable[[HostStatus | None, HostStatus], None] = lambda _before, _after: None
        """Is told of each host that changed, before and after."""

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    @property
    def fleet(self) -> FleetStatus:
        return self._fleet

    @property
    def hosts(self) -> Mapping[HostName, HostStatus]:
        """In the order of names."""
        return MappingProxyType(self._hosts)

    @property
    def counts(self) -> Counter[Condition]:
        """Of all items of all hosts."""
        return sum((host.counts for host in self._hosts.values()), Counter[Condition]())

    def version_of(self, host: HostName) -> int:
        """The version in which the host changed last: what was made of it before then is outdated."""
        return self._versions.get(host, 0)

    def put_fleet(self, fleet: FleetStatus) -> None:
        self._fleet = fleet
        self._tell()

    def put_host(self, host: HostStatus) -> None:
        """Adds or replaces one host. When it was seen last, and last as desired, alone is no change: nobody is told of
        that, and whoever shows it asks for it.
        """
        former = self._hosts.get(host.name)
        self._hosts[host.name] = host
        if former is None:
            self._hosts = dict(sorted(self._hosts.items()))
        elif former == replace(host, seen=former.seen, converged=former.converged):
            return
        self.on_change(former, host)
        self._tell(host.name)

    def drop_host(self, name: HostName) -> None:
        """A host that the inventory has no more."""
        if self._hosts.pop(name, None) is not None:
            self._tell(name)

    async def changed(self, since: int) -> int:
        """Waits until the version is beyond `since`, and tells it."""
        while self._version <= since:
            await self._changed.wait()
        return self._version

    def _tell(self, host: HostName | None = None) -> None:
        self._version += 1
        if host is not None:
            self._versions[host] = self._version
        # Whoever waits is woken once, and waits on a new one afterwards.
        self._changed.set()
        self._changed = asyncio.Event()
