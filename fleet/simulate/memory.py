"""ASGI applications as an httpx2 transport: no sockets, yet bodies stream both ways and leaving is noticed.

For property tests: with `virtual.VirtualLoop` a fleet and its hosts run in one thread, without waiting for anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from weakref import WeakSet

import httpx2
from starlette.types import ASGIApp, Message, Scope

from fleet.simulate.fault_wire import DROP

_FIRST_PORT = 50_000
_GRACE = 1.0
"""Seconds for an application to end by itself after it was told that the client has left."""


class MemoryTransport(httpx2.AsyncBaseTransport):
    """`apps` has an application for each `host:port`; every other address refuses connections."""

    def __init__(self, apps: Mapping[str, ASGIApp] | None = None) -> None:
        self._apps = dict(apps or {})
        self._exchanges: dict[str, WeakSet[_Exchange]] = {}
        self._next_port = _FIRST_PORT

    def free_port(self) -> int:
        """A port that was not given out before."""
        self._next_port += 1
        return self._next_port

    def open(self, address: str, app: ASGIApp) -> None:
        """Lets an application answer at `host:port`."""
        self._apps[address] = app

    def close(self, address: str) -> None:
        self._apps.pop(address, None)

    def drop(self, address: str) -> None:
        """Breaks the requests at an address that are not yet answered to their end."""
        for exchange in list(self._exchanges.get(address, ())):
            exchange.cut()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        address = f"{request.url.host}:{port}"
        app = self._apps.get(address)
        if app is None:
            raise httpx2.ConnectError("All connection attempts failed", request=request)
        exchange = _Exchange(request, port)
        self._exchanges.setdefault(address, WeakSet()).add(exchange)
        try:
            status, headers = await exchange.begin(app)
        except BaseException:
            await exchange.aclose()
            raise
        return httpx2.Response(status, headers=headers, stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    """One request and its answer. As a stream it is the answer's body; closing it is the client's leaving."""

    def __init__(self, request: httpx2.Request, port: int) -> None:
        self._request = request
        self._port = port
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._start: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()
        self._complete = False
        self._reset = False
        self._limit: float | None = request.extensions.get("timeout", {}).get("read")
        self._told_end = False
        self._task: asyncio.Task[None] | None = None
        self._body: AsyncIterator[bytes] | None = None

    async def begin(self, app: ASGIApp) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Starts the application and returns status and headers. Raises what httpx2 does for a real connection."""
        self._task = asyncio.create_task(self._run(app))
        try:
            async with asyncio.timeout(self._limit):
                return await asyncio.shield(self._start)
        except TimeoutError:
            raise httpx2.ReadTimeout("", request=self._request) from None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._limit):
                    piece = await self._pieces.get()
            except TimeoutError:
                raise httpx2.ReadTimeout("", request=self._request) from None
            if piece is None:
                break
            yield piece
        if not self._complete:
            raise self._broken("peer closed connection without sending complete message body")

    def cut(self) -> None:
        """Breaks the connection: the client sees a reset, the application a disconnect."""
        self._reset = True
        self._left.set()
        if not self._start.done():
            self._fail_start()
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._pieces.put_nowait(None)

    def _fail_start(self) -> None:
        self._start.set_exception(self._broken("server disconnected without sending a response"))
        self._start.exception()

    async def aclose(self) -> None:
        self._left.set()
        if self._task is None:
            return
        while not self._pieces.empty():
            self._pieces.get_nowait()
        done, _ = await asyncio.wait({self._task}, timeout=_GRACE)
        if not done:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _broken(self, message: str) -> httpx2.TransportError:
        kind = httpx2.ReadError if self._reset else httpx2.RemoteProtocolError
        return kind(message, request=self._request)

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        finally:
            if not self._start.done():
                self._fail_start()
            if not self._left.is_set():
                await self._pieces.put(None)

    def _scope(self) -> Scope:
        url = self._request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "client": ("127.0.0.1", 1),
            "server": (url.host, self._port),
            "state": {},
            "extensions": {DROP: {"close": self._drop}},
        }

    def _drop(self, reset: bool) -> None:
        self._reset = reset

    async def _receive(self) -> Message:
        if self._body is None:
            stream: Any = self._request.stream
            self._body = aiter(stream)
        if not self._left.is_set():
            try:
                piece = await anext(self._body)
            except StopAsyncIteration:
                if not self._told_end:
                    self._told_end = True
                    return {"type": "http.request", "body": b"", "more_body": False}
            else:
                return {"type": "http.request", "body": piece, "more_body": True}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left.is_set():
            return
        if message["type"] == "http.response.start":
            if not self._start.done():
                self._start.set_result((message["status"], list(message.get("headers", []))))
            return
        if (body := message.get("body", b"")) and self._request.method != "HEAD":
            await self._put(body)
        self._complete = not message.get("more_body", False)

    async def _put(self, piece: bytes) -> None:
        """Waits until the client has read the piece before, or has left."""
        put = asyncio.ensure_future(self._pieces.put(piece))
        left = asyncio.ensure_future(self._left.wait())
        await asyncio.wait({put, left}, return_when=asyncio.FIRST_COMPLETED)
        for task in (put, left):
            task.cancel()
        await asyncio.gather(put, left, return_exceptions=True)


class MemoryListener:
    """A port in memory: the same to its owner as a `listening.Listener`."""

    def __init__(
        self, network: MemoryTransport, app: ASGIApp, port: int, addresses: tuple[str, ...] = ("127.0.0.1",)
    ) -> None:
        self._network = network
        self._app = app
        self.port = port or network.free_port()
        self._places = [f"{address}:{self.port}" for address in addresses]
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True
        for place in self._places:
            self._network.open(place, self._app)

    def drop_connections(self) -> None:
        for place in self._places:
            self._network.drop(place)

    async def close(self) -> None:
        await self.pause()

    async def pause(self) -> None:
        self.is_open = False
        for place in self._places:
            self._network.close(place)
        self.drop_connections()


async def ask(app: ASGIApp, method: str, path: str, body: Any = None) -> httpx2.Response:
    """One whole request to an application in this process."""
    transport = MemoryTransport({"localhost:80": app})
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=None) as client:
        return await client.request(method, path, json=body)
