"""Requests that make the daemon do something, each after its proof."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fleet.daemon.actions import Actions
from fleet.daemon.board import Board
from fleet.daemon.hooks import pushed_ref
from fleet.daemon.listener.access import Access, may_act, proven
from fleet.daemon.listener.answers import JSON, Refused, json_answer
from fleet.daemon.listener.documents import moment
from fleet.daemon.listener.limits import Limits
from fleet.errors import FleetError
from fleet.foreign import clean
from fleet.names import HostName

_DROPPED = 4 << 20
"""Bytes of a body that are read at most, to be dropped."""
_LONGEST = 366 * 24 * 3600
"""Seconds of a suspension; for longer ones the inventory is the place."""


class Acting:
    """What needs the token, or by the Unix socket nothing."""

    def __init__(
        self,
        board: Board,
        actions: Actions,
        access: Callable[[], Access],
        now: Callable[[], datetime],
        limits: Limits,
    ) -> None:
        self._board = board
        self._actions = actions
        self._access = access
        self._now = now
        self._limits = limits

    async def reconcile(self, request: Request) -> Response:
        asked = await self._asked(request, {"hosts"})
        names = asked.get("hosts", [])
        if not isinstance(names, list):
            raise Refused(400, "wrong-body", "`hosts` is no list of names")
        hosts = [self._host(name) for name in names]
        self._actions.reconcile("request", hosts)
        return json_answer({"accepted": True, "hosts": hosts}, 202)

    async def suspend(self, request: Request) -> Response:
        asked = await self._asked(request, {"host", "for_seconds", "reason"})
        host, until = self._host(asked.get("host")), self._until(asked.get("for_seconds"))
        reason = asked.get("reason", "")
        if not isinstance(reason, str):
            raise Refused(400, "wrong-body", "`reason` is no text")
        _done(lambda: self._actions.suspend(host, until, clean(reason)))
        return json_answer({"host": host, "until": None if until is None else moment(until)})

    async def resume(self, request: Request) -> Response:
        asked = await self._asked(request, {"host"})
        host = self._host(asked.get("host"))
        _done(lambda: self._actions.resume(host))
        return json_answer({"host": host})

    async def git(self, request: Request) -> Response:
        """A webhook: of what it says nothing is believed but that something moved."""
        body = await _body(request, self._limits.hook_bytes)
        proven(request, self._access(), body)
        self._actions.source_moved(pushed_ref(dict(request.headers), body))
        return json_answer({"accepted": True}, 202)

    async def _asked(self, request: Request, fields: set[str]) -> dict[str, Any]:
        may_act(request, self._access())
        # A browser sends JSON to another origin only after asking for it, and nothing here answers that question.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise Refused(415, "not-json", "the body must be JSON", "send `Content-Type: application/json`")
        body = await _body(request, self._limits.body_bytes)
        try:
            asked = json.loads(body or b"{}", parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise Refused(400, "wrong-body", "the body is no JSON") from None
        if not isinstance(asked, dict):
            raise Refused(400, "wrong-body", "the body is no JSON object")
        if unknown := sorted(set(asked) - fields):
            named = ", ".join(f"`{clean(name, 80)}`" for name in unknown[:5])
            raise Refused(400, "wrong-body", f"not known: {named}", f"there are {', '.join(sorted(fields))}")
        return asked

    def _host(self, name: object) -> HostName:
        if not isinstance(name, str):
            raise Refused(400, "wrong-body", "`host` is no text")
        if name not in self._board.hosts:
            raise Refused(404, "no-such-host", f"the inventory has no host `{clean(name, 80)}`")
        return HostName(name)

    def _until(self, seconds: object) -> datetime | None:
        if seconds is None:
            return None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
            raise Refused(400, "wrong-body", "`for_seconds` is no number above 0 and up to a year")
        return self._now() + timedelta(seconds=seconds)


def _done(act: Callable[[], None]) -> None:
    """Does it, with what may go wrong in the words of HTTP."""
    try:
        act()
    except KeyError:
        raise Refused(404, "no-such-host", "the inventory has no host of this name any more") from None
    except ValueError as error:
        raise Refused(409, "not-possible", clean(str(error)), "change the inventory") from error
    except FleetError as error:
        raise Refused(503, error.code.id, clean(str(error)), error.hint) from error


async def _body(request: Request, limit: int) -> bytes:
    """All of it. Raises `Refused` for more than `limit`, after the rest was read and dropped: a client that is still
    sending would not see the answer. What is much too long is not waited for.
    """
    parts: list[bytes] = []
    told = request.headers.get("content-length", "0")
    size = int(told) if told.isascii() and told.isdigit() and len(told) < 16 else 0
    try:
        if size <= _DROPPED:
            size = 0
            async for part in request.stream():
                size += len(part)
                if size <= limit:
                    parts.append(part)
    except ClientDisconnect:
        raise Refused(400, "cut-off", "the body broke off") from None
    if size > limit:
        raise Refused(413, "body-too-large", f"the body is larger than {limit} bytes", headers={"connection": "close"})
    return b"".join(parts)


def _no_number(text: str) -> Sequence[object]:
    raise ValueError(text)
