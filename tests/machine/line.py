"""One run's way to hosts and its own record, on which it can be killed, stopped, cut off or overtaken at a chosen effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx2

from fleet.state.memory import Memory
from fleet.state.remembered import Remembered

_CHANGES = ("/api/pull", "/api/create", "/api/copy", "/api/delete", "/api/generate", "/api/blobs/", "/api/embed")


class Fate(StrEnum):
    """What happens to a run at an effect."""

    STOPPED = "stopped"
    """A person asks it to stop."""
    KILLED = "killed"
    CUT = "cut"
    """The connection of that very request breaks once the host began to answer."""
    OVERTAKEN = "overtaken"
    """Somebody else changes the host, or what its registry has, just before."""
    SET = "set"
    """The clock on the wall is set back by two days, and again at each further effect, until the run is over."""


class Killed(BaseException):
    """The process is no more: nothing of it runs on."""


@dataclass(slots=True)
class Life:
    """Counts the effects of one run: requests that change a host, and what it records."""

    fate: Fate | None = None
    at: int = 0
    """The number of the effect before which it happens."""
    overtake: Callable[[], Awaitable[None]] | None = None
    stop: Callable[[], None] = lambda: None
    set_clock: Callable[[], None] = lambda: None
    effects: int = 0
    dead: bool = False
    work: asyncio.Future[Any] | None = None
    happened: bool = field(default=False)

    def lives(self) -> None:
        if self.dead:
            raise Killed

    def _met(self) -> bool:
        self.lives()
        self.effects += 1
        if self.fate is Fate.SET and self.effects >= self.at:
            self.set_clock()
        if self.fate is None or self.effects != self.at:
            return False
        self.happened = True
        if self.fate is Fate.KILLED:
            self.dead = True
            if self.work is not None:
                self.work.cancel()
            raise Killed
        if self.fate is Fate.STOPPED:
            self.stop()
        return True

    def records(self) -> None:
        """Before something is recorded."""
        self._met()

    async def asks(self) -> bool:
        """Before a request that changes a host; whether its connection is to break."""
        met = self._met()
        if met and self.fate is Fate.OVERTAKEN and self.overtake is not None:
            await self.overtake()
        return met and self.fate is Fate.CUT


class Line(httpx2.AsyncBaseTransport):
    """The requests of one run."""

    def __init__(self, network: httpx2.AsyncBaseTransport, life: Life) -> None:
        self._network = network
        self._life = life

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._life.lives()
        breaks = (
            request.method in {"POST", "DELETE"} and request.url.path.startswith(_CHANGES) and await self._life.asks()
        )
        response = await self._network.handle_async_request(request)
        if breaks:
            return httpx2.Response(
                response.status_code, headers=response.headers.raw, stream=_Breaking(response.stream, request)
            )
        return response


class _Breaking(httpx2.AsyncByteStream):
    """A reply that breaks off after its first piece."""

    def __init__(self, stream: object, request: httpx2.Request) -> None:
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise TypeError(stream)
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece
            break
        raise httpx2.ReadError("connection reset", request=self._request)

    async def aclose(self) -> None:
        await self._stream.aclose()


class MortalMemory(Memory):
    """A record of a run that may be killed before it writes."""

    def __init__(self, folder: str, name: str, life: Life) -> None:
        super().__init__(folder, name)
        self._life = life

    def _keep(self, change: Callable[[Remembered], Remembered], *, durable: bool = True) -> None:
        self._life.records()
        super()._keep(change, durable=durable)
