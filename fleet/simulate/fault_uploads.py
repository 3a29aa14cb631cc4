"""Faults that strike while a host takes a body in: what it is sent is read in part, changed, or not at all."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

from fleet.simulate.clock import Clock
from fleet.simulate.unread import CUT, OPEN, Body
from fleet.simulate.wire import Reply, error

FULL = "write /var/lib/ollama/models/blobs/sha256-3141592653: no space left on device"


async def reads(body: Body, size: int) -> bool:
    """Takes at least so many bytes of a body and throws them away; false if the client left before."""
    async for _ in body:
        if body.read >= size:
            break
    return body.end != CUT


async def early(scope: Scope, receive: Receive, send: Send, size: int) -> None:
    """Says that the blob is there when so many bytes of it have come, and leaves."""
    body = Body(scope, receive)
    if size == 0 or await reads(body, size):
        await body.answer(Reply(200), send)


async def full(scope: Scope, receive: Receive, send: Send, size: int) -> None:
    """Finds the disk full when so many bytes have come."""
    body = Body(scope, receive)
    if size == 0 or await reads(body, size):
        await body.answer(error(500, FULL), send)


async def stalled(scope: Scope, receive: Receive, *, part: float, interval: float, size: int, clock: Clock) -> None:
    """Takes a part of the body, and of the rest `size` bytes each `interval`, or nothing; it is never answered."""
    body = Body(scope, receive)
    if part > 0 and not await reads(body, int((body.length or 0) * part)):
        return
    while size and body.end == OPEN:
        before = body.read
        await reads(body, before + 1)
        await clock.sleep(interval * (body.read - before) / size)
    await asyncio.Event().wait()


def corrupted(receive: Receive, byte: int) -> Receive:
    """The body with one byte of it turned over; a body that is not that long comes as it is."""
    at = 0

    async def changed() -> Message:
        nonlocal at
        message = await receive()
        piece = message.get("body", b"")
        here = byte - at
        at += len(piece)
        if 0 <= here < len(piece):
            return {**message, "body": piece[:here] + bytes([piece[here] ^ 0xFF]) + piece[here + 1 :]}
        return message

    return changed
