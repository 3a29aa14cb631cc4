"""Servers on real sockets for the tests of the client: scripted byte for byte, or replaying recorded exchanges."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.endpoint import Endpoint
from fleet.ollama.client import Client
from fleet.ollama.credentials import Credentials, Trust
from fleet.ollama.limits import Limits, Retries

Script = Callable[["Request", asyncio.StreamWriter], Awaitable[bool | None]]
"""Answers one request; true keeps the connection open for a further one."""


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Served:
    """A server at work: where, and what it was asked."""

    port: int
    scheme: str = "http"
    host: str = "127.0.0.1"
    prefix: str = ""
    asked: list[Request] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closed its side while a script was still at it."""

    def client(
        self,
        *,
        limits: Limits | None = None,
        retries: Retries | None = None,
        credentials: Credentials | None = None,
        tls: Trust | None = None,
        clock: Callable[[], float] | None = None,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> Client:
        endpoint = Endpoint.parse(f"{self.scheme}://{self.host}:{self.port}{self.prefix}")
        loop = asyncio.get_running_loop()
        return Client(
            endpoint,
            limits=limits or Limits(),
            retries=retries or Retries(first=0),
            credentials=credentials,
            tls=tls,
            clock=clock or loop.time,
            pause=pause or asyncio.sleep,
        )


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Served]:
    """Runs the script for each request on a port of its own."""
    served = Served(0, scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (request := await _request(reader)) is not None:
                served.asked.append(request)
                if not await script(request, writer):
                    break
        except ConnectionError:
            served.left.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *rest = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


def reply(
    body: bytes | str | dict[str, object] | list[object],
    *,
    status: int = 200,
    kind: str = "application/json; charset=utf-8",
    headers: Sequence[str] = (),
) -> bytes:
    """A whole HTTP reply with its length."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def line(**keys: object) -> bytes:
    """One NDJSON line as one HTTP chunk."""
    return chunk(json.dumps(keys).encode() + b"\n")


def always(data: bytes, *, keep: bool = True) -> Script:
    """Answers every request with the same bytes."""

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        return keep

    return script


def in_turn(*replies: bytes) -> Script:
    """Answers with one after the other, and goes on with the last."""
    left = list(replies)

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        return True

    return script


def self_signed(folder: Path, *, days: int) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1, which is to be trusted as its own authority, and what serves with it. Needs the
    program `openssl`.
    """
    pem, key = folder / "server.pem", folder / "server.key"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256")
    name = ("-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1")
    command = ["openssl", "req", "-x509", *curve, *name, "-days", str(days), "-keyout", str(key), "-out", str(pem)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context
