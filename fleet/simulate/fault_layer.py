"""The layer before a simulated host or registry: it notes every request, and lets faults strike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet.simulate import fault_rewrites as rewrites
from fleet.simulate import fault_streams as streams
from fleet.simulate import fault_uploads as uploads
from fleet.simulate.calls import STREAMS, Call, read_ahead
from fleet.simulate.clock import Clock
from fleet.simulate.fault_wire import JSON, NDJSON, Reply, drop, first_of, gone, unless_gone
from fleet.simulate.faults import Fault, FaultKind, FaultSet
from fleet.simulate.journal import Entry, Journal
from fleet.simulate.registry_server import DIRECT
from fleet.simulate.unread import Body

_PORTAL = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please accept the terms of use.</body></html>"
_HUGE_PIECE = 1 << 16


class Victim(Protocol):
    """What faults do to the state of a host."""

    def break_model(self, name: str) -> None: ...

    def evict(self, name: str) -> None: ...

    def lose(self, digest: str) -> None: ...

    def restart(self, *, idle: float = 0.0, dropping: bool = True) -> None: ...


@dataclass(frozen=True, slots=True)
class FaultLayer:
    """An ASGI application around another one.

    `classify` reads the kind of request; `victim` is the host behind (none for the registry); `content` says what a
    pull of a model would download.
    """

    name: str
    app: ASGIApp
    classify: Callable[[Scope, bytes], Call]
    faults: FaultSet
    journal: Journal
    clock: Clock
    victim: Victim | None = None
    content: streams.Content = lambda _model: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, receive = await read_ahead(scope, receive)
        call = self.classify(scope, body)
        client = _client(scope)
        self.journal.began(self.name, call, client)
        fault = self.faults.strike(call)
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            if fault is None:
                await self.app(scope, receive, watched)
            else:
                await self._strike(fault, call, scope, receive, watched)
        finally:
            kind = str(fault.fault) if fault else None
            entry = Entry(self.name, scope["method"], scope["path"], call.kind, call.model, status, kind, client)
            self.journal.ended(entry)

    async def _strike(self, fault: Fault, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(send)
        match fault.fault:
            case FaultKind.UNREACHABLE:
                await drop(scope, reset=True)
            case FaultKind.SLOW:
                await self.clock.sleep(fault.delay or 0)
                await self.app(scope, receive, send)
            case FaultKind.SILENCE:
                await self._silent(call, receive, reply, headers=bool(fault.headers))
            case FaultKind.STALL | FaultKind.TRICKLE if call.kind == "blob_post":
                await self._taking(fault, scope, receive)
            case FaultKind.STALL | FaultKind.TRICKLE if call.stream:
                await unless_gone(receive, self._ticking(fault, call, reply))
            case FaultKind.STALL | FaultKind.TRICKLE:
                await self._silent(call, receive, reply, headers=False)
            case FaultKind.ERROR_LINE | FaultKind.ERROR_THEN_SUCCESS:
                await self._failing(fault, call, reply, fault.message or "")
            case FaultKind.FULL_DISK if call.kind == "blob_post":
                await uploads.full(scope, receive, send, fault.bytes or 0)
            case FaultKind.FULL_DISK if call.kind in {"pull", "create"}:
                await self._failing(fault, call, reply, _full_disk(call, self.content))
            case FaultKind.EARLY_SUCCESS if call.kind == "blob_post":
                await uploads.early(scope, receive, send, fault.bytes or 0)
            case FaultKind.RESET:
                if fault.bytes:
                    await uploads.reads(Body(scope, receive), fault.bytes)
                await drop(scope, reset=True)
            case FaultKind.STATUS:
                await _refuse(fault, reply)
            case FaultKind.HTML:
                await reply.whole(200, "text/html; charset=utf-8", _PORTAL)
            case FaultKind.WRONG_JSON:
                await reply.whole(200, NDJSON if call.stream else JSON, (fault.body or "").encode())
            case FaultKind.HUGE:
                await unless_gone(receive, _endless(call, reply, fault.bytes))
            case FaultKind.LIE_SUCCESS if streams.lies_about(call):
                await streams.lying(reply, call, self.content)
            case FaultKind.LOST_ANSWER:
                await self.app(scope, receive, _unsaid)
                await drop(scope, reset=True)
            case FaultKind.LINGER:
                await self._open_ended(scope, receive, send)
            case FaultKind.CUT | FaultKind.RESTART_DURING | FaultKind.CLEAN_END:
                await self._ended_early(fault, scope, receive, send)
            case _:
                await self._changed(fault, call, scope, receive, send)

    async def _changed(self, fault: Fault, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        """The host answers itself: out of a state that the fault changed, or through a wrapped `send`."""
        match fault.fault:
            case FaultKind.DRIP:
                send = rewrites.dripping(send, self.clock, fault.interval or 0)
            case FaultKind.ESCAPES:
                send = rewrites.rewriting(send, rewrites.deface(fault.text or ""))
            case FaultKind.FORGET if call.kind == "tags":
                send = rewrites.rewriting(send, rewrites.forget(fault.model or ""))
            case FaultKind.NO_LENGTH:
                send = rewrites.without_length(send)
            case FaultKind.DAMAGED:
                send = rewrites.damaging(send)
            case FaultKind.NO_REDIRECT:
                scope = {**scope, DIRECT: True}
            case FaultKind.MISSING_BLOB if self.victim is not None and call.model is not None:
                self.victim.break_model(call.model)
            case FaultKind.LOST_UPLOAD if self.victim is not None:
                for digest in call.uploads:
                    self.victim.lose(digest)
            case FaultKind.RESTART_BEFORE if self.victim is not None:
                self.victim.restart(idle=fault.idle or 0, dropping=False)
            case FaultKind.CORRUPT:
                receive = uploads.corrupted(receive, fault.byte or 0)
            case FaultKind.EVICT if self.victim is not None:
                self.victim.evict(fault.model or "")
            case _:
                pass
        await self.app(scope, receive, send)

    async def _silent(self, call: Call, receive: Receive, reply: Reply, *, headers: bool) -> None:
        if headers:
            await reply.start(200, NDJSON if call.stream else JSON)
        await gone(receive)

    async def _taking(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        await uploads.stalled(
            scope,
            receive,
            part=fault.part or 0,
            interval=fault.interval or 0,
            size=fault.bytes or 0,
            clock=self.clock,
        )

    async def _ticking(self, fault: Fault, call: Call, reply: Reply) -> None:
        await streams.ticking(
            reply,
            call,
            self.content,
            clock=self.clock,
            part=fault.part or 0,
            interval=fault.interval or 0,
            grows=fault.bytes or 0,
        )

    async def _failing(self, fault: Fault, call: Call, reply: Reply, message: str) -> None:
        then_success = fault.fault is FaultKind.ERROR_THEN_SUCCESS
        lines = 4 if fault.lines is None else fault.lines
        await streams.failing(reply, call, self.content, lines=lines, message=message, then_success=then_success)

    async def _ended_early(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.fault is FaultKind.CLEAN_END and fault.lines is None:
            await self.app(scope, receive, rewrites.without_success(send))
            return
        full = asyncio.Event()
        limited = rewrites.limited(send, full, lines=fault.lines, size=fault.bytes)
        await first_of(self._asked(scope, receive, limited), _wait(full))
        if fault.fault is FaultKind.CLEAN_END:
            await Reply(send).end()
            return
        await drop(scope, reset=False)
        if fault.fault is FaultKind.RESTART_DURING and self.victim is not None:
            self.victim.restart()

    async def _open_ended(self, scope: Scope, receive: Receive, send: Send) -> None:
        full = asyncio.Event()
        await first_of(self._asked(scope, receive, rewrites.unfinished(send, full)), _wait(full))
        await gone(receive)

    async def _asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _client(scope: Scope) -> str:
    """The program that asks, as its `User-Agent` begins."""
    told = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    return str(told.decode("latin-1").partition("/")[0].partition(" ")[0][:80])


async def _unsaid(_message: Message) -> None:
    """Where answers go that nobody hears."""


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _refuse(fault: Fault, reply: Reply) -> None:
    """A status with a JSON error, with the body that was asked for, or with none if that is empty."""
    status = fault.status or 503
    told = {"retry-after": fault.retry_after, "location": fault.location}
    headers = {name: value for name, value in told.items() if value is not None}
    if fault.body is None:
        await reply.whole(status, JSON, b'{"error":"the simulator was told to fail"}', headers)
    else:
        await reply.whole(status, "text/plain; charset=utf-8", fault.body.encode(), headers)


def _full_disk(call: Call, content: streams.Content) -> str:
    if call.kind == "create":
        return uploads.FULL
    digest = streams.progress(call, content, 0.5).get("digest", "sha256:")
    return f"write {str(digest).replace(':', '-')}-partial: no space left on device"


async def _endless(call: Call, reply: Reply, limit: int | None) -> None:
    """An answer of `limit` bytes that no limit of Ollama's would allow, or one without end; never a whole JSON."""
    await reply.start(200, NDJSON if call.kind in STREAMS else JSON)
    await reply.piece(b'{"models":[{"name":"')
    sent = 0
    while limit is None or sent < limit:
        size = _HUGE_PIECE if limit is None else min(_HUGE_PIECE, limit - sent)
        await reply.piece(b"a" * size)
        sent += size
        await asyncio.sleep(0)
    await reply.end()
