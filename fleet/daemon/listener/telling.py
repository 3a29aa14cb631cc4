"""Status and history as JSON, and metrics: what programs read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from itertools import chain

from starlette.requests import Request
from starlette.responses import Response

from fleet.daemon.actions import Actions
from fleet.daemon.board import Board
from fleet.daemon.listener.answers import JSON, Pieces, Refused, as_json, json_answer
from fleet.daemon.listener.asking import Filter, filter_of, number_of
from fleet.daemon.listener.documents import fleet_document, pass_document
from fleet.daemon.listener.events import Events
from fleet.daemon.listener.tally import Tally
from fleet.daemon.listener.written import Writer, Written
from fleet.daemon.metrics import CONTENT_TYPE
from fleet.render.writing import FORMAT

Metrics = Callable[[], bytes | Awaitable[bytes]]
"""All of them in Prometheus' text format."""

_PASSES = 50
_MOST_PASSES = 1000
_MOST = 10**18


class Telling:
    """What is answered without any proof."""

    def __init__(
        self, board: Board, actions: Actions, tally: Tally, writer: Writer, events: Events, metrics: Metrics
    ) -> None:
        self._board = board
        self._actions = actions
        self._tally = tally
        self._writer = writer
        self._events = events
        self._metrics = metrics
        self._measuring: asyncio.Task[bytes] | None = None

    async def status(self, request: Request) -> Response:
        """The whole fleet, or what `host`, `model` and `condition` choose; with `items=no` without items."""
        # The version before the hosts: whoever goes on from it misses nothing, and is told some things twice.
        version = self._events.version
        await self._tally.fresh()
        chosen = filter_of(request.query_params)
        written = await self._writer.written(sorted(chosen.chosen(self._tally), key=lambda host: host.name))
        head = as_json(
            {
                "type": "status",
                "format": FORMAT,
                "version": version,
                "fleet": fleet_document(self._board.fleet),
                "counts": {
                    "hosts": {condition.value: count for condition, count in self._tally.hosts.items() if count},
                    "items": {condition.value: count for condition, count in self._tally.items.items() if count},
                },
            }
        )
        texts = [_text(one, chosen, items=request.query_params.get("items") != "no") for one in written]
        commas = chain(*((b",", text) for text in texts))
        next(commas, None)
        return Pieces([head.rstrip()[:-1] + b',"hosts":[', *commas, b"]}\n"], JSON)

    async def history(self, request: Request) -> Response:
        limit = number_of(request.query_params, "limit", _PASSES, most=_MOST_PASSES)
        before = number_of(request.query_params, "before", None, most=_MOST)
        passes = self._actions.history(limit or _PASSES, before)
        return json_answer({"type": "history", "format": FORMAT, "passes": [pass_document(one) for one in passes]})

    async def one_pass(self, request: Request) -> Response:
        document = self._actions.pass_document(int(request.path_params["number"]))
        if document is None:
            raise Refused(404, "no-such-pass", "the history has no pass of this number", "see `/api/history`")
        # It has the plan of every host.
        return Response(await asyncio.to_thread(as_json, document), media_type=JSON)

    async def metrics(self, request: Request) -> Response:
        """Those who ask while they are being put together get the same ones."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.ensure_future(self._measured())
        return Response(await asyncio.shield(self._measuring), headers={"content-type": CONTENT_TYPE})

    async def _measured(self) -> bytes:
        measured = self._metrics()
        return await measured if isawaitable(measured) else measured


def _text(one: Written, chosen: Filter, *, items: bool) -> bytes:
    if not items:
        return one.without_items()
    return one.whole() if chosen.condition is None else one.only(chosen.condition)
