"""A proxy on loopback in front of a host, which does to TCP what networks do: cut, reset, slow down, swallow.

It runs in a thread of its own, so that it serves tests within a loop and commands beside one alike. Nothing of HTTP is known here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """How a connection ends that is cut."""

    RESET = "reset"
    """As when the other machine is gone: what is on its way is lost with it."""
    CLOSE = "close"
    HALF_CLOSE = "half-close"
    """Nothing more comes from the host, and the connection stays open towards it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of each connection; by default all of it passes."""

    request: int | None = None
    """Bytes that pass towards the host before the connection ends."""
    answer: int | None = None
    """Bytes that pass from the host before the connection ends."""
    end: End = End.RESET
    rate: float | None = None
    """Bytes a second from the host."""
    delay: float = 0
    """Seconds before anything passes from the host."""
    black_hole: bool = False
    """Connections are taken, and nothing ever passes."""


WHOLE = Fault()
_CHUNK = 1 << 16
_TICK = 0.05
"""Seconds between two portions of a limited rate."""


class Proxy:
    """One at work. Its fault may be exchanged at any time; it strikes the connections that are taken after that."""

    def __init__(self, port: int, fault: Fault) -> None:
        self.port = 0
        self.fault = fault
        self.connections = 0
        """How many were taken."""
        self.asked = bytearray()
        """All bytes that came from clients."""
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Ends all connections. From another thread."""
        self._loop.call_soon_threadsafe(self._over.set)

    def run(self, ready: threading.Event) -> None:
        """Serves until `close`; for a thread."""
        try:
            self._loop.run_until_complete(self._serve(ready))
        finally:
            self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()
        # What was aborted is closed in the next turn of the loop.
        await asyncio.sleep(0)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._carry(self.fault, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _carry(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if fault.black_hole:
            while data := await reader.read(_CHUNK):
                self.asked += data
            return
        from_host, to_host = await asyncio.open_connection("127.0.0.1", self._target)
        up = asyncio.create_task(self._up(fault, reader, to_host))
        down = asyncio.create_task(_down(fault, from_host, writer))
        try:
            first, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            cut = any(task.exception() is None and task.result() for task in first)
            if not cut:
                # One side said all that it had to say; the other may not have.
                await asyncio.wait({up, down})
                cut = any(task.exception() is None and task.result() for task in (up, down))
            if cut:
                await _end(fault.end, writer, reader)
        finally:
            # At once: the end of the proxy may not let it wait for anything.
            to_host.transport.abort()
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _up(self, fault: Fault, reader: asyncio.StreamReader, to_host: asyncio.StreamWriter) -> bool:
        """True if the connection is to be cut now."""
        left = fault.request
        while left != 0 and (data := await reader.read(_CHUNK if left is None else min(left, _CHUNK))):
            self.asked += data
            left = None if left is None else left - len(data)
            to_host.write(data)
            await to_host.drain()
        if left != 0:
            to_host.write_eof()
        return left == 0


async def _down(fault: Fault, from_host: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """True if the connection is to be cut now."""
    left = fault.answer
    if fault.delay:
        await asyncio.sleep(fault.delay)
    portion = _CHUNK if fault.rate is None else max(1, int(fault.rate * _TICK))
    while left != 0 and (data := await from_host.read(portion if left is None else min(left, portion))):
        left = None if left is None else left - len(data)
        writer.write(data)
        await writer.drain()
        if fault.rate is not None:
            await asyncio.sleep(len(data) / fault.rate)
    if left != 0:
        writer.write_eof()
    return left == 0


async def _end(how: End, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
    match how:
        case End.RESET:
            # A close that does not linger is a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case End.CLOSE:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        case End.HALF_CLOSE:
            writer.write_eof()
            while await reader.read(_CHUNK):
                pass


@contextmanager
def proxied(port: int, fault: Fault = WHOLE) -> Iterator[Proxy]:
    """A proxy in front of what listens at this port of loopback, until the block ends."""
    proxy = Proxy(port, fault)
    ready = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(ready,), name="proxy", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
