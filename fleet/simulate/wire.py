"""Answers as they go over the wire: JSON replies, refusals, and streams with their errors by version (`ollama-api.md` 1.2, 1.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from fleet.simulate.events import Event, Failure
from fleet.simulate.gotext import json_text
from fleet.simulate.versions import Behaviour, Capability

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = "application/json; charset=utf-8"
PLAIN_JSON = "application/json"
NDJSON = "application/x-ndjson"


class Refusal(Exception):
    """An answer with a status and an error text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer line by line. `single` asks for the last one alone, as `stream:false` does."""

    events: AsyncIterator[Event]
    single: bool = False


def json_reply(status: int, body: Any, content_type: str = JSON) -> Reply:
    return Reply(status, json_text(body), content_type)


def error(status: int, text: str, content_type: str = JSON) -> Reply:
    return json_reply(status, {"error": text}, content_type)


async def send_reply(reply: Reply, send: Send, *, head: bool = False, ended: bool = True) -> None:
    """Sends an answer, without its body if only the head was asked for; all of it is there even if it is not `ended`."""
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    if reply.content_type is not None:
        headers.append((b"content-type", reply.content_type.encode()))
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body, "more_body": not ended})


async def send_stream(streamed: Streamed, behaviour: Behaviour, send: Send) -> None:
    """Sends a worker's events. What comes after an error is sent or not, by version."""
    async with aclosing(cast("Any", streamed.events)) as events:
        if streamed.single:
            await send_reply(await _last(events, behaviour), send)
            await _leave(events)
            return
        started = False
        async for event in events:
            failed = isinstance(event, Failure)
            if failed and not started and behaviour.has(Capability.STREAM_ERRORS_HAVE_STATUS):
                await send_reply(error(event.status or 500, event.text, PLAIN_JSON), send)
                await _leave(events)
                return
            if not started:
                await _start(send)
                started = True
            await send({"type": "http.response.body", "body": _line(event, behaviour), "more_body": True})
            if failed and behaviour.has(Capability.STREAM_ERRORS_HAVE_STATUS):
                await _leave(events)
                break
        if not started:
            await _start(send)
    await send({"type": "http.response.body", "body": b""})


async def _leave(events: AsyncIterator[Event]) -> None:
    """Nobody reads on. The worker, which does not know, works up to the next thing that it would say."""
    await anext(events, None)


async def _start(send: Send) -> None:
    headers = [(b"content-type", NDJSON.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def _line(event: Event, behaviour: Behaviour) -> bytes:
    if not isinstance(event, Failure):
        return json_text(event, newline=True)
    body: dict[str, Any] = {"error": event.text}
    if event.status and not behaviour.has(Capability.STREAM_ERRORS_HAVE_STATUS):
        body["status"] = event.status
    return json_text(body, newline=True)


async def _last(events: AsyncIterator[Event], behaviour: Behaviour) -> Reply:
    """The one reply of a stream that was not wanted as a stream."""
    latest: Event = {"status": ""}
    first_counts = not behaviour.has(Capability.LAST_STATUS_IS_REPLY)
    async for event in events:
        if isinstance(event, Failure):
            return error(event.status or 500, event.text, PLAIN_JSON)
        latest = event
        if first_counts and event.get("status") == "success":
            return json_reply(200, event, PLAIN_JSON)
    if first_counts:
        return error(500, "unexpected end of progress response", PLAIN_JSON)
    return json_reply(200, latest, PLAIN_JSON)
