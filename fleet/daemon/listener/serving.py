"""The listener's server: begins to listen, and ends within its grace whatever its clients do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from fleet.daemon.listener.connections import Connection
from fleet.daemon.listener.limits import Limits
from fleet.daemon.listener.sockets import remover, tcp_sockets, unix_socket

_BACKLOG = 128
_ROUNDS = 1000
_ACCEPTED = 10
"""Rounds after which whatever was being accepted is a connection."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it listens now."""

    port: int | None = None
    """The one in use, also where 0 was asked for."""
    unix: Path | None = None


@asynccontextmanager
async def serving(
    app: ASGIApp, *, tcp: str | None = None, unix: Path | None = None, limits: Limits | None = None
) -> AsyncIterator[Listening]:
    """Listens as long as the block lasts. Raises `FleetError` where an address or the socket cannot be had, `LockError`
    where another daemon answers at the socket. Requests in work are given `Limits.grace` at the end.
    """
    limits = limits or Limits()
    stopping = asyncio.Event()
    # The application is given to each connection, and signals are the daemon's: nothing else of this is read.
    config = Config(app=_nothing, http="httptools", lifespan="off", ws="none", proxy_headers=False, log_config=None)
    config.load()
    by_tcp, by_unix = ServerState(), ServerState()
    servers: list[asyncio.Server] = []
    alive: set[Connection] = set()
    port, local = None, None

    def connections(state: ServerState, *, local: bool) -> Callable[[], Connection]:
        return lambda: Connection(config, state, app, limits, local=local, stopping=stopping, alive=alive)

    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        if unix is not None:
            local = unix_socket(unix)
            stack.callback(remover(unix))
        stack.push_async_callback(_end, servers, (by_tcp, by_unix), alive, limits)
        stack.callback(stopping.set)
        if local is not None:
            accept = connections(by_unix, local=True)
            servers.append(await loop.create_unix_server(accept, sock=local, backlog=_BACKLOG))
        if tcp is not None:
            accept = connections(by_tcp, local=False)
            for opened in await tcp_sockets(tcp):
                port = port or opened.getsockname()[1]
                servers.append(await loop.create_server(accept, sock=opened, backlog=_BACKLOG))
        yield Listening(port, unix)


async def _end(
    servers: Sequence[asyncio.Server], states: Sequence[ServerState], alive: set[Connection], limits: Limits
) -> None:
    """Takes no more, lets answers at work end within the grace, and breaks what is left."""
    for server in servers:
        server.close()
    for state in states:
        for connection in list(state.connections):
            connection.shutdown()
    tasks = {task for state in states for task in state.tasks}
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=limits.grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    # Rounds of the loop, in which transports close their sockets, and connections come that were being accepted.
    for turn in range(_ROUNDS):
        if not alive and turn >= _ACCEPTED:
            break
        for connection in list(alive):
            connection.abort()
        await asyncio.sleep(0)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """The configuration wants an application; each connection brings its own."""
