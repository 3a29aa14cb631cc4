"""Counts and indexes over all hosts, kept up host by host: what filters, groups and overviews are answered from.

With 1,000 hosts and 40 models nothing here may be worked out anew for each request, nor in one go.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from fleet.daemon.board import Board
from fleet.daemon.status import WORST, Condition, HostStatus
from fleet.names import HostName, ModelName

_SLICE = 25
"""Hosts between two moments in which the loop may do something else: about a millisecond."""
_GONE = 1000
"""Hosts whose end is remembered, for streams that were away."""

_RANK = {condition: rank for rank, condition in enumerate(WORST)}


class Tally:
    """What is known over all hosts as of the last `fresh`."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.hosts: Counter[Condition] = Counter()
        self.items: Counter[Condition] = Counter()
        self.models: dict[ModelName, dict[Condition, set[HostName]]] = {}
        self.labels: dict[str, Counter[str]] = {}
        self.moving: set[HostName] = set()
        """Hosts with a step at work."""
        self.held: set[HostName] = set()
        """Hosts on which a guard holds something back."""
        self.gone: dict[HostName, int] = {}
        """Hosts that left, by the version in which they did."""
        self.in_order: list[HostStatus] = []
        """Problems first, then by name."""
        self._version = -1
        self._known: dict[HostName, tuple[int, HostStatus, dict[ModelName, Condition]]] = {}
        self._refreshing = asyncio.Lock()

    async def fresh(self) -> None:
        """Takes in what changed, giving way to the rest of the loop. Calls that come together do it once."""
        if self.board.version == self._version:
            return
        async with self._refreshing:
            version = self.board.version
            if version == self._version:
                return
            hosts, version_of = self.board.hosts, self.board.version_of
            for name in [name for name in self._known if name not in hosts]:
                self._forget(name)
                self.gone[name] = version_of(name)
            while len(self.gone) > _GONE:
                del self.gone[min(self.gone, key=lambda name: self.gone[name])]
            changed = [name for name in hosts if name not in self._known or self._known[name][0] != version_of(name)]
            for start in range(0, len(changed), _SLICE):
                if start:
                    await asyncio.sleep(0)
                for name in changed[start : start + _SLICE]:
                    self._learn(name)
            self.in_order = sorted((known[1] for known in self._known.values()), key=order)
            self._version = version

    def matching(self, names: Iterable[ModelName], condition: Condition | None) -> set[HostName]:
        """Hosts that have one of the models, in the condition if one is named."""
        found: set[HostName] = set()
        for name in names:
            for each, hosts in self.models.get(name, {}).items():
                if condition is None or each is condition:
                    found |= hosts
        return found

    def _learn(self, name: HostName) -> None:
        host = self.board.hosts.get(name)
        if host is None:  # it left since
            return
        version = self.board.version_of(name)
        standing = {item.model: item.condition for item in host.items}
        former = self._known.get(name)
        if former is not None and former[2] == standing and former[1].condition is host.condition:
            standing = former[2]
            if former[1].labels != host.labels:
                self._label(former[1], -1)
                self._label(host, 1)
        else:
            if former is not None:
                self._forget(name)
            self.hosts[host.condition] += 1
            for model, condition in standing.items():
                self.items[condition] += 1
                self.models.setdefault(model, {}).setdefault(condition, set()).add(name)
            self._label(host, 1)
        self._known[name] = (version, host, standing)
        self.gone.pop(name, None)
        _keep(self.moving, name, keep=any(item.moving is not None for item in host.items))
        _keep(self.held, name, keep=bool(host.refusals))

    def _forget(self, name: HostName) -> None:
        _, host, standing = self._known.pop(name)
        self.hosts[host.condition] -= 1
        for model, condition in standing.items():
            self.items[condition] -= 1
            by_condition = self.models[model]
            by_condition[condition].discard(name)
            if not by_condition[condition]:
                del by_condition[condition]
            if not by_condition:
                del self.models[model]
        self._label(host, -1)
        self.moving.discard(name)
        self.held.discard(name)

    def _label(self, host: HostStatus, by: int) -> None:
        for label, value in host.labels.items():
            counts = self.labels.setdefault(label, Counter())
            counts[value] += by
            if counts[value] <= 0:
                del counts[value]
            if not counts:
                del self.labels[label]


def order(host: HostStatus) -> tuple[int, str]:
    """Problems first, then by name."""
    return _RANK[host.condition], host.name


def rank(condition: Condition) -> int:
    return _RANK[condition]


def _keep(names: set[HostName], name: HostName, *, keep: bool) -> None:
    if keep:
        names.add(name)
    else:
        names.discard(name)
