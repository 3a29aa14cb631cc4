"""Changes as they happen, as server-sent events: a `status` for each changed host, `gone` for one that left, `fleet`
for the rest.

An event's id is `START-VERSION`: where the board stood, and since when the daemon runs. Whoever comes back with it
(`Last-Event-ID`, which browsers send, or `?since=`, which `/api/status` tells as `version`) gets what changed since, and
of another daemon's life everything, since anything may have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from fleet.daemon.board import Board
from fleet.daemon.listener.answers import Refused, as_json
from fleet.daemon.listener.asking import filter_of
from fleet.daemon.listener.documents import fleet_document
from fleet.daemon.listener.limits import Limits
from fleet.daemon.listener.tally import Tally
from fleet.daemon.listener.written import Writer

_LONGEST_ID = 64


class Events:
    """All streams of one listener."""

    def __init__(self, board: Board, tally: Tally, writer: Writer, limits: Limits) -> None:
        self._board = board
        self._tally = tally
        self._writer = writer
        self._limits = limits
        self._open = 0

    @property
    def version(self) -> str:
        """Where the board stands, as an event's id."""
        return f"{self._life}-{self._board.version}"

    async def stream(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._open >= self._limits.streams:
            raise Refused(
                503,
                "too-many-streams",
                f"{self._open} streams of events are open, which is as many as there may be",
                "close a page, or ask `/api/status` now and then",
                {"retry-after": "15"},
            )
        chosen = filter_of(request.query_params)
        since = self._since(request)
        told = self._told(
            since,
            request.scope["state"]["stopping"],
            items=request.query_params.get("items") != "no",
            host=chosen.host,
        )
        self._open += 1
        return _Stream(told, self._closed)

    def _closed(self) -> None:
        self._open -= 1

    @property
    def _life(self) -> int:
        return int(self._board.fleet.started.timestamp() * 1000)

    def _since(self, request: Request) -> int:
        """The version after which changes are told: now, unless the client says where it was."""
        told = request.headers.get("last-event-id") or request.query_params.get("since") or ""
        if not told:
            return self._board.version
        life, _, version = told[:_LONGEST_ID].partition("-")
        known = version.isascii() and version.isdigit() and int(version) <= self._board.version
        return int(version) if known and life == str(self._life) else -1

    async def _told(
        self, since: int, stopping: asyncio.Event, *, items: bool, host: str
    ) -> AsyncGenerator[bytes, None]:
        ended = asyncio.ensure_future(stopping.wait())
        try:
            fleet: object = None
            while not stopping.is_set():
                version = self._board.version
                if self._board.fleet is not fleet:
                    fleet = self._board.fleet
                    yield self._event("fleet", as_json(fleet_document(self._board.fleet)), since)
                async for event in self._changed(since, version, items=items, host=host):
                    yield event
                since = version
                # Alone, it tells the id: whoever comes back now has missed nothing.
                yield b"id: %d-%d\n\n" % (self._life, version)
                changing = asyncio.ensure_future(self._board.changed(version))
                try:
                    while not changing.done() and not ended.done():
                        await asyncio.wait(
                            {changing, ended},
                            timeout=self._limits.heartbeat,
                            return_when=asyncio.FIRST_COMPLETED,
                        )
                        if not changing.done() and not ended.done():
                            yield b": still here\n\n"
                finally:
                    changing.cancel()
                await asyncio.wait({ended}, timeout=self._limits.gather)
        finally:
            ended.cancel()

    async def _changed(self, since: int, version: int, *, items: bool, host: str) -> AsyncIterator[bytes]:
        await self._tally.fresh()
        chosen = filter_of({"host": host})
        for name, left in list(self._tally.gone.items()):
            if since < left <= version:
                yield self._event("gone", as_json({"name": name}), since)
        for status in chosen.chosen(self._tally):
            if self._board.version_of(status.name) > since:
                (written,) = await self._writer.written([status])
                yield self._event("status", written.whole() if items else written.without_items(), since)

    def _event(self, kind: str, body: bytes, since: int) -> bytes:
        """With the id of where the client stood before: cut in the middle, it is told all of it again."""
        return b"event: %b\nid: %d-%d\ndata: %b\n\n" % (kind.encode(), self._life, max(since, 0), body.rstrip())


class _Stream(StreamingResponse):
    """Ends with its client, wherever that is noticed."""

    def __init__(self, events: AsyncGenerator[bytes, None], closed: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._events = events
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            self._closed()
