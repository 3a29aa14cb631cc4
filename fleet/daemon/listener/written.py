"""Hosts as they are sent: written once for each version, and joined to what somebody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.daemon.board import Board
from fleet.daemon.listener.answers import as_json
from fleet.daemon.listener.documents import host_document, item_text, moment
from fleet.daemon.status import Condition, HostStatus, ItemStatus
from fleet.names import HostName

_MILLISECONDS = 0.003
"""How long hosts are written before the loop may do something else."""


@dataclass(frozen=True, slots=True)
class Written:
    """One host. `head` ends before the closing brace; when it was seen comes after it, since that alone changes often."""

    host: HostStatus
    head: bytes
    items: tuple[bytes, ...]

    def whole(self) -> bytes:
        return b'%b,"items":[%b]}' % (self._start(), b",".join(self.items))

    def without_items(self) -> bytes:
        return self._start() + b"}"

    def only(self, condition: Condition) -> bytes:
        """With those of its items that are in the condition."""
        chosen = [text for item, text in zip(self.host.items, self.items, strict=True) if item.condition is condition]
        return b'%b,"items":[%b]}' % (self._start(), b",".join(chosen))

    def _start(self) -> bytes:
        seen, converged = self.host.seen, self.host.converged
        start = self.head
        if seen is not None:
            start += b',"seen":"%b"' % moment(seen).encode()
        if converged is not None:
            start += b',"converged":"%b"' % moment(converged).encode()
        return start


class Writer:
    """Keeps what it wrote. Items that are what they were are not written again, since most passes change none."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._kept: dict[HostName, tuple[int, Written]] = {}
        self._writing = asyncio.Lock()

    async def written(self, hosts: Iterable[HostStatus]) -> list[Written]:
        """These hosts, as they were given. Gives way to the rest of the loop; those who ask together wait for one."""
        found: list[Written] = []
        async with self._writing:
            clock = asyncio.get_running_loop().time
            begun = clock()
            for host in hosts:
                found.append(self._of(host))
                if clock() - begun > _MILLISECONDS:
                    await asyncio.sleep(0)
                    begun = clock()
            if len(self._kept) > len(self._board.hosts):
                for name in [name for name in self._kept if name not in self._board.hosts]:
                    del self._kept[name]
        return found

    def _of(self, host: HostStatus) -> Written:
        version = self._board.version_of(host.name)
        kept = self._kept.get(host.name)
        if kept is not None and kept[0] == version:
            if kept[1].host is host:
                return kept[1]
            written = Written(host, kept[1].head, kept[1].items)
        else:
            head = as_json(host_document(host)).rstrip()[:-1]
            written = Written(host, head, self._items(host.items, kept[1] if kept is not None else None))
        self._kept[host.name] = (version, written)
        return written

    def _items(self, items: tuple[ItemStatus, ...], former: Written | None) -> tuple[bytes, ...]:
        if former is not None and len(former.items) == len(items):
            pairs = zip(items, former.host.items, former.items, strict=True)
            return tuple(text if item == before else item_text(item).encode() for item, before, text in pairs)
        return tuple(item_text(item).encode() for item in items)
