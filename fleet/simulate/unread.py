"""Bodies of requests that are answered before they are read to their end, as Go's server treats them.

Up to 256 KiB of the rest are read off, and the connection lives on. Of more nothing is read: the answer says
`Connection: close`, and half a second later the connection is closed, under whatever the client still sends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fleet.simulate.wire import Receive, Reply, Send, send_reply

PART = "fleet.part"
"""The extension of an ASGI scope that leaves a connection so: a function. Without it nothing is left."""
TRUNCATED = "fleet.truncated"
"""Set in the extensions of a scope whose client has closed its side before the body was complete."""
_READ_OFF = 256 << 10

OPEN, WHOLE, CUT = "open", "whole", "cut"
"""How far a body was read: it goes on, it came to its end, or the client has left it there."""

Scope = Mapping[str, Any]


class Body:
    """The body of one request, piece by piece. `end` says how far it was read, `read` how many bytes that were."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        self.length = int(length) if length.isdigit() else None
        """As announced; none where it is told by its end."""
        self.expected = headers.get(b"expect", b"").lower() == b"100-continue"
        """Whether the client waits for a word before it sends anything."""
        self._extensions = scope.get("extensions") or {}
        self._receive = receive
        self.end = OPEN
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.end == OPEN:
            message = await self._receive()
            piece = message.get("body", b"")
            self.read += len(piece)
            if message["type"] == "http.disconnect" or TRUNCATED in self._extensions:
                self.end = CUT
            elif not message.get("more_body"):
                self.end = WHOLE if self.length is None or self.read >= self.length else CUT
            if piece:
                yield piece

    async def answer(self, reply: Reply, send: Send) -> None:
        """Sends a whole answer, and leaves the connection as the body demands it."""
        if self.end == OPEN and not await self._read_off() and PART in self._extensions:
            closing = {**reply.headers, "Connection": "close"}
            await send_reply(Reply(reply.status, reply.body, reply.content_type, closing), send, ended=False)
            self._extensions[PART]()
        else:
            await send_reply(reply, send)

    async def _read_off(self) -> bool:
        """Reads a short rest. Says whether there is none any more."""
        if self.expected and not self.read:
            return False
        if self.length is not None and self.length - self.read > _READ_OFF:
            return False
        limit = self.read + _READ_OFF
        async for _ in self:
            if self.read > limit:
                return False
        return True
