"""The listener's application: which path leads where, and what holds for every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from fleet.codes import Code
from fleet.daemon.actions import Actions
from fleet.daemon.board import Board
from fleet.daemon.listener.access import Access, Reached
from fleet.daemon.listener.acting import Acting
from fleet.daemon.listener.answers import HEADERS, Refused
from fleet.daemon.listener.events import Events
from fleet.daemon.listener.health import Health
from fleet.daemon.listener.limits import Limits
from fleet.daemon.listener.page import Page
from fleet.daemon.listener.tally import Tally
from fleet.daemon.listener.telling import Metrics, Telling
from fleet.daemon.listener.written import Writer
from fleet.foreign import clean

_HINTS: Mapping[int, tuple[str, str, str | None]] = {
    404: ("not-found", "there is nothing at this path", "`/` is the page, `/api/status` the same as JSON"),
    405: ("not-allowed", "this path does not take this method", None),
}


class Application:
    """An ASGI application. `access` may be replaced at any time, as when a token was changed; its `names` are those
    of the beginning.

    `metrics` gives all metrics in Prometheus' text format, at once or as an awaitable.
    """

    def __init__(
        self,
        board: Board,
        actions: Actions,
        access: Access,
        *,
        metrics: Metrics,
        now: Callable[[], datetime],
        limits: Limits | None = None,
    ) -> None:
        self.access = access
        self._reached = Reached(access.names)
        limits = limits or Limits()
        tally, writer = Tally(board), Writer(board)
        events = Events(board, tally, writer, limits)
        telling = Telling(board, actions, tally, writer, events, metrics)
        acting = Acting(board, actions, lambda: self.access, now, limits)
        health, page = Health(board), Page(board, tally, now)
        self._board, self._writer, self._page = board, writer, page
        self._app = Starlette(
            routes=[
                Route("/", page.fleet),
                Route("/models", page.models),
                Route("/hosts/{name}", page.host),
                Route("/static/{name}", page.static),
                Route("/healthz", health.lives),
                Route("/readyz", health.ready),
                Route("/readyz/hosts/{name}", health.host),
                Route("/metrics", telling.metrics),
                Route("/api/status", telling.status),
                Route("/api/history", telling.history),
                Route("/api/history/{number:int}", telling.one_pass),
                Route("/api/events", events.stream),
                Route("/api/reconcile", acting.reconcile, methods=["POST"]),
                Route("/api/suspend", acting.suspend, methods=["POST"]),
                Route("/api/resume", acting.resume, methods=["POST"]),
                Route("/hooks/git", acting.git, methods=["POST"]),
            ],
            exception_handlers=dict.fromkeys((HTTPException, Refused, Exception), _answered),
        )
        self._app.router.redirect_slashes = False

    async def prepare(self) -> None:
        """Makes what most of those who come will ask for, so that the first of them need not wait for it."""
        await self._writer.written(self._board.hosts.values())
        await self._page.fleet(
            Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in HEADERS if header[0] not in given),
                ]
            await send(message)

        try:
            self._reached.check(Request(scope))
            await self._app(scope, receive, with_headers)
        except Refused as refused:
            await refused.answer()(scope, receive, with_headers)
        except Exception:
            # It was answered already, or its answer broke off.
            structlog.get_logger().exception("listener.failed", path=clean(scope["path"], 200))


async def _answered(_: Request, error: Exception) -> Response:
    """What was raised, as an answer: ours, Starlette's own, and whatever nobody expected."""
    if isinstance(error, Refused):
        return error.answer()
    if isinstance(error, HTTPException):
        code, message, hint = _HINTS.get(error.status_code, ("refused", error.detail, None))
        return Refused(error.status_code, code, message, hint, error.headers).answer()
    return Refused(500, Code.INTERNAL.id, Code.INTERNAL.title, Code.INTERNAL.cure).answer()
