"""What the tests of uploads share: hosts that take a body as they please, and sources of blocks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fleet.names import Digest
from tests.ollama.sockets import Served, reply

DIGEST = Digest("a" * 64)
PATH = f"/api/blobs/{DIGEST}"
STORED = reply("", status=201)
THERE = reply("", headers=["Connection: close"])
PRESENT = b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"
ABSENT = b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
MIB = 1 << 20
MUCH = 16 * MIB
"""More than all buffers between two sockets take."""

Taking = Callable[["Upload"], Awaitable[None]]
"""Deals with one upload; its connection is closed after that."""


@dataclass
class Upload:
    """One POST as far as a host has let it come."""

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    got: bytes = b""

    async def take(self, size: int) -> None:
        """Reads so many more bytes of the body."""
        self.got += await self.reader.readexactly(size)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection as a crash would."""
        self.writer.transport.abort()


@dataclass
class Host(Served):
    """Where uploads go to, and what came of them."""

    heads: list[str] = field(default_factory=list)
    """The first lines of all requests."""
    uploads: list[Upload] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a connection that a POST came by is at its end."""


@asynccontextmanager
async def taking(handle: Taking, *, head: bytes = ABSENT, tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    """A host whose POSTs are dealt with by `handle`; a HEAD is answered with `head`."""
    host = Host(0, scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            begun = await reader.readuntil(b"\r\n\r\n")
            host.heads.append(begun.split(b"\r\n")[0].decode())
            if begun.startswith(b"HEAD"):
                writer.write(head)
                await writer.drain()
                return
            upload = Upload(begun, reader, writer)
            host.uploads.append(upload)
            try:
                await handle(upload)
            finally:
                host.gone.set()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def taking_all(size: int, answer: bytes = STORED) -> Taking:
    """Reads the whole body, then answers."""

    async def handle(upload: Upload) -> None:
        await upload.take(size)
        await upload.say(answer)

    return handle


class Blocks:
    """A source of blocks of one size, in one piece of memory, that knows how far it was gone through."""

    def __init__(self, size: int, block: int = MIB) -> None:
        self.size = size
        self.asked = 0
        """Bytes handed out."""
        self.ended = False
        self._memory = bytearray(block)

    def __iter__(self) -> Iterator[memoryview]:
        try:
            while self.asked < self.size:
                count = min(len(self._memory), self.size - self.asked)
                self.asked += count
                yield memoryview(self._memory)[:count]
        finally:
            self.ended = True
