"""Faults that change what the host itself answers on its way out: each wraps `send`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.types import Message, Send

from fleet.simulate.clock import Clock
from fleet.simulate.faults import matches

_CLEANED = frozenset({"status", "error", "system", "template", "license", "modelfile", "response", "content"})


def dripping(send: Send, clock: Clock, interval: float) -> Send:
    """The body one byte at a time."""

    async def dripped(message: Message) -> None:
        body = message.get("body", b"")
        for place in range(len(body)):
            await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
            await clock.sleep(interval)
        await send({**message, "body": b""} if body else message)

    return dripped


def limited(send: Send, full: asyncio.Event, *, lines: int | None, size: int | None) -> Send:
    """The body up to `lines` line ends or `size` bytes, never its end. When `full` is set, no more will follow."""
    left = size if size is not None else lines or 0

    async def cut(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            await send(message)
        else:
            body: bytes = message.get("body", b"")
            kept = body[:left] if size is not None else b"".join(body.splitlines(keepends=True)[:left])
            left -= len(kept) if size is not None else kept.count(b"\n")
            if kept:
                await send({"type": "http.response.body", "body": kept, "more_body": True})
        if left <= 0 or (message["type"] == "http.response.body" and not message.get("more_body")):
            full.set()
            await asyncio.Event().wait()

    return cut


def unfinished(send: Send, full: asyncio.Event) -> Send:
    """The whole body without its end. When `full` is set, no more will follow."""

    async def kept_open(message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body")
        await send({**message, "more_body": True} if last else message)
        if last:
            full.set()
            await asyncio.Event().wait()

    return kept_open


def without_success(send: Send) -> Send:
    """A stream whose last `success` is swallowed, though the operation was done."""

    async def swallowed(message: Message) -> None:
        if message["type"] == "http.response.body":
            kept = [line for line in message.get("body", b"").splitlines(keepends=True) if b'"success"' not in line]
            message = {**message, "body": b"".join(kept)}
        await send(message)

    return swallowed


def rewriting(send: Send, change: Callable[[Any], Any]) -> Send:
    """JSON replies, or each line of a stream, as `change` returns them; what is no JSON passes as it is."""
    start: Message = {}
    held = bytearray()

    async def rewritten(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            if not _is_stream(message):
                return
            await send(message)
            return
        held.extend(message.get("body", b""))
        more = message.get("more_body", False)
        if _is_stream(start):
            *lines, rest = bytes(held).split(b"\n")
            held[:] = rest
            body = b"".join(_changed(line, change) + b"\n" for line in lines) + (b"" if more else rest)
            await send({**message, "body": body})
        elif not more:
            body = _changed(bytes(held), change)
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

    return rewritten


def without_length(send: Send) -> Send:
    """The answer without its Content-Length."""

    async def stripped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            message = {**message, "headers": headers}
        await send(message)

    return stripped


def damaging(send: Send) -> Send:
    """The body with its first byte turned over."""
    whole = True

    async def damaged(message: Message) -> None:
        nonlocal whole
        body = message.get("body", b"")
        if body and whole:
            whole = False
            message = {**message, "body": bytes([body[0] ^ 0xFF]) + body[1:]}
        await send(message)

    return damaged


def forget(model: str) -> Callable[[Any], Any]:
    """A listing without the entries whose name fits the glob."""

    def change(value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("models"), list):
            value["models"] = [entry for entry in value["models"] if not matches(model, entry["name"])]
        return value

    return change


def deface(text: str) -> Callable[[Any], Any]:
    """Texts with `text` before them, and in listings one more entry whose name is `text` and letters."""

    def change(value: Any) -> Any:
        if isinstance(value, list):
            return [change(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        told = {
            key: text + entry if key in _CLEANED and isinstance(entry, str) else change(entry)
            for key, entry in value.items()
        }
        models = told.get("models")
        if isinstance(models, list) and models:
            name = f"{text}hostile:latest"
            told["models"] = [*models, {**models[0], "name": name, "model": name}]
        return told

    return change


def _is_stream(start: Message) -> bool:
    return any(name.lower() == b"content-type" and b"ndjson" in value for name, value in start["headers"])


def _changed(content: bytes, change: Callable[[Any], Any]) -> bytes:
    try:
        read = json.loads(content)
    except ValueError:
        return content
    return json.dumps(change(read), separators=(",", ":")).encode()
