"""Answers of the listener: JSON for programs, refusals with what to do next, and the headers of each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JSON = "application/json"
CHUNK = 48 << 10
"""Bytes written at once: less than what fills a client's buffer, so that each piece has the whole time of a stall."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action {}; frame-ancestors 'none'"
)
PAGE_POLICY = _POLICY.format("'self'")
"""Of pages: they have a form that asks for a filtered page."""

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", _POLICY.format("'none'").encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""Of every answer that has no others, refusals included."""


class Refused(Exception):
    """A request that is answered with an error: what, and what next."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.hint = hint
        self.headers = headers

    def answer(self) -> Response:
        return Response(problem(self.code, str(self), self.hint), self.status, self.headers, JSON)


def problem(code: str, message: str, hint: str | None = None) -> bytes:
    """The body of every error."""
    return as_json({"code": code, "message": message, "hint": hint})


def as_json(document: Any) -> bytes:
    """In one line, everything beyond ASCII escaped: no terminal can act on it."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def json_answer(document: Any, status: int = 200) -> Response:
    return Response(as_json(document), status, media_type=JSON)


class Pieces(Response):
    """A long answer made of many short pieces, written as fast as the client takes it and never copied as a whole."""

    def __init__(self, pieces: Sequence[bytes], media_type: str) -> None:
        super().__init__(status_code=200, media_type=media_type)
        self._pieces = pieces
        self.headers["content-length"] = str(sum(map(len, pieces)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            taken: list[bytes] = []
            size = 0
            for piece in self._pieces:
                for start in range(0, len(piece), CHUNK):
                    part = piece[start : start + CHUNK]
                    if size + len(part) > CHUNK:
                        await send({"type": "http.response.body", "body": b"".join(taken), "more_body": True})
                        taken, size = [], 0
                    taken.append(part)
                    size += len(part)
            await send({"type": "http.response.body", "body": b"".join(taken), "more_body": False})
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
