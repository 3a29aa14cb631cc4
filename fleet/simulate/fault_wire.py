"""The ASGI side of faults: replies written by hand, connections dropped, and waiting until the client has left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

DROP = "fleet.drop"
"""The extension in an ASGI scope that closes the connection as it is: `{"close": function of one argument, reset}`."""

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Reply:
    """Writes one answer piece by piece."""

    send: Send

    async def start(self, status: int, content_type: str, headers: dict[str, str] | None = None) -> None:
        told = {"content-type": content_type} | (headers or {})
        raw = [(name.encode(), value.encode()) for name, value in told.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def piece(self, content: bytes) -> None:
        await self.send({"type": "http.response.body", "body": content, "more_body": True})

    async def line(self, value: Any) -> None:
        """One line of a stream, compact as Go writes it."""
        await self.piece(line(value))

    async def end(self) -> None:
        await self.send({"type": "http.response.body", "body": b""})

    async def whole(self, status: int, content_type: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        await self.start(status, content_type, {"content-length": str(len(body))} | (headers or {}))
        await self.send({"type": "http.response.body", "body": body})

    async def json(self, status: int, value: Any) -> None:
        await self.whole(status, JSON, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


async def drop(scope: Scope, *, reset: bool) -> None:
    """Closes the connection without ending the answer; with `reset` the peer sees a reset, else an early end."""
    scope["extensions"][DROP]["close"](reset)
    await asyncio.sleep(0)


async def gone(receive: Receive) -> None:
    """Returns when the client has closed the connection; what it still sends, the body too, is thrown away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def first_of(*attempts: Coroutine[Any, Any, None]) -> None:
    """Runs all until the first one ends and cancels the others; an error of the first is raised."""
    tasks = [asyncio.ensure_future(attempt) for attempt in attempts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def unless_gone(receive: Receive, work: Awaitable[None]) -> None:
    """Does the work until it ends or the client leaves."""

    async def do() -> None:
        await work

    await first_of(do(), gone(receive))
