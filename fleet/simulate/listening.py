"""Listeners of the simulator: uvicorn's HTTP protocol on sockets made by hand, each with an application of its own.

uvicorn's own server is not used: it takes the signals for itself and cannot close one of its sockets and open it
again. What is added to its protocol: a fault may break the connection (`fault_wire.DROP`), an answer may leave it with
the body unread, and a client that closes its side in the middle of a body is still answered (`unread`).
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import struct
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fleet.simulate.fault_wire import DROP
from fleet.simulate.unread import PART, TRUNCATED

_BACKLOG = 1024
_RESET = struct.pack("ii", 1, 0)
_IDLE_SECONDS = 24 * 3600  # Ollama closes no idle connection
_PARTING_SECONDS = 0.5
"""Between the last word on a connection and its end, as in Go: the client may read before it is reset."""


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with the application given to it and a connection that can be broken."""

    def __init__(self, config: Config, state: ServerState, app: ASGIApp) -> None:
        super().__init__(config, state, {})
        self.app = app

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {DROP: {"close": self._close}, PART: self._part}
        self.scope["extensions"] = extensions

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """In the middle of a body this side stays open: the server says what it thinks of it."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or not cycle.more_body:
            return None
        cycle.scope["extensions"][TRUNCATED] = {}
        cycle.more_body = cycle.keep_alive = False
        cycle.message_event.set()
        return True

    def _close(self, reset: bool) -> None:
        if not reset:
            self.transport.close()
            return
        opened: Any = self.transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _part(self) -> None:
        """Ends this side, and a little later the connection. Nothing is read any more."""
        self.cycle.disconnected = True
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.loop.call_later(_PARTING_SECONDS, self.transport.close)


class Listener:
    """One or more addresses with the same port, answered by one application. Can be closed and opened again."""

    def __init__(self, app: ASGIApp, port: int, addresses: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self._app = app
        self._addresses = addresses
        self._config = Config(app=_nothing, lifespan="off", ws="none", proxy_headers=False, log_config=None)
        self._config.timeout_keep_alive = _IDLE_SECONDS
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._kept: dict[str, socket.socket] = {}
        """By address: bound as well, so that the port goes to nobody else while nothing listens."""
        self.port = port
        """The port in use: if 0 was asked for, known after `open`, and kept from then on."""

    async def open(self) -> None:
        """Listens. Raises `OSError` if the first address cannot be had; further ones are left out then."""
        if self._servers:
            return
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()
        for address in self._addresses:
            try:
                opened = self._bound(address)
            except OSError:
                if not self._servers:
                    raise
                continue
            server = await loop.create_server(self._protocol, sock=opened, backlog=_BACKLOG)
            self._servers.append(server)

    def _bound(self, address: str) -> socket.socket:
        opened = _bound_socket(address, self.port)
        self.port = opened.getsockname()[1]
        if address not in self._kept:
            try:
                self._kept[address] = _bound_socket(address, self.port)
            except OSError:
                opened.close()
                raise
        return opened

    @property
    def is_open(self) -> bool:
        return bool(self._servers)

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(self._config, self._state, self._app)

    def drop_connections(self) -> None:
        """Breaks every open connection."""
        for connection in list(self._state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()

    async def close(self) -> None:
        """Stops listening for good: the port is free for others."""
        await self.pause()
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()

    async def pause(self) -> None:
        """Stops listening and breaks what is open. Requests in work are told and, if they go on, cancelled."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.drop_connections()
        tasks = set(self._state.tasks)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=0.5)
            await _cancel(left)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    """Cancels requests that did not see the disconnect; uvicorn would log each as an error of the application."""
    logger = logging.getLogger("uvicorn.error")
    silenced, logger.disabled = logger.disabled, True
    try:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        logger.disabled = silenced


def _bound_socket(address: str, port: int) -> socket.socket:
    """A socket made by hand with its protocol named: asyncio switches Nagle off only for those."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise OSError(error.errno, error.strerror, f"{address}:{port}") from error
    return opened


def allow_open_files(count: int) -> None:
    """Raises the soft limit on open files to `count`, or as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """The configuration wants an application; each listener brings its own."""
