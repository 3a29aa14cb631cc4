"""Connections of the listener: uvicorn's HTTP protocol with an end to everything that a client can draw out.

uvicorn's own server is not used: it takes the signals for itself. Its protocol limits neither a head nor the time that
a client takes to send or to read, and logs what strangers send.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fleet.daemon.listener.answers import HEADERS, problem
from fleet.daemon.listener.limits import Limits

_PIPELINED = 8
"""Requests that a client may send ahead."""
_BUFFER = 64 << 10
_RESET = struct.pack("ii", 1, 0)

_silent = logging.getLogger("fleet.daemon.listener.uvicorn")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
"""What uvicorn says of broken requests is for those who send them."""


class Connection(HttpToolsProtocol):
    """One client. `local` is told to the application, as is `stopping`, which is set when the listener ends."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        app: ASGIApp,
        limits: Limits,
        *,
        local: bool,
        stopping: asyncio.Event,
        alive: set[Connection],
    ) -> None:
        """It is among the `alive` ones from the moment at which it is accepted to that at which its socket is closed."""
        super().__init__(config, state, {"local": local, "stopping": stopping})
        self.app = app
        self.logger = _silent
        self.access_log = False
        self.timeout_keep_alive: float = limits.head  # type: ignore[assignment]  # goes to `call_later` as it is
        self.idle_since = self.loop.time()
        self._limits = limits
        self._stopping = stopping
        self._alive = alive
        alive.add(self)
        self._in_head = True
        self._received = 0
        """Bytes of the head or body that is being read, its framing included."""
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is at work."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def abort(self) -> None:
        """Breaks it, if it came so far already."""
        if self.transport is not None:
            self.transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        if self._stopping.is_set():
            transport.abort()
            return
        if len(self.connections) >= self._limits.connections and not self._room():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many connections", "try again in some seconds")
            return
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_BUFFER)
        self._reading = self.loop.call_later(self._limits.head, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._reading, self._writing, self._ending):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        self._alive.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            if self._received > self._limits.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "the head is too large")
            elif self._reading is None and not self.busy:
                self._reading = self.loop.call_later(self._limits.head, self._late)
        elif self._received > self._limits.hook_bytes + self._limits.body_bytes:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "the body is too large")
        elif self._reading is None:
            self._reading = self.loop.call_later(self._limits.body, self._late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self._limits.stall, self._cut)

    def resume_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    # What the parser calls

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _PIPELINED:
            self.transport.abort()
            raise ValueError("too many requests ahead")
        self._read(in_head=False)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._read(in_head=True)
        super().on_message_complete()

    # What uvicorn calls

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.idle_since = self.loop.time()
        if self.transport.is_closing():
            self._end()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "not-http", "this is no HTTP request")

    def timeout_keep_alive_handler(self) -> None:
        self._end()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._end()

    # The rest

    def _read(self, *, in_head: bool) -> None:
        self._in_head = in_head
        self._received = 0
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _room(self) -> bool:
        """Closes the connection that was idle longest; false where every one is at work."""
        idle = [each for each in self.connections if isinstance(each, Connection) and not each.busy]
        if not idle:
            return False
        longest = min(idle, key=lambda each: each.idle_since)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def _late(self) -> None:
        self._reading = None
        if self._in_head and self._received == 0 and not self.busy:
            self._end()  # nobody waits for an answer
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "the request did not arrive in time")

    def _end(self) -> None:
        """Closes, and does not wait for ever for a client to take what was written."""
        self.transport.close()
        if self._ending is None:
            self._ending = self.loop.call_later(self._limits.stall, self._cut)

    def _cut(self) -> None:
        """Ends at once and for both sides; the kernel keeps nothing of what the client did not take."""
        opened: Any = self.transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, code: str, message: str, hint: str | None = None) -> None:
        cycle: Any = self.cycle
        if self.busy:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        body = problem(code, message, hint)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"content-type: application/json"]
        lines += [name + b": " + value for name, value in HEADERS]
        lines += [f"content-length: {len(body)}".encode(), b"connection: close", b"", body]
        self.transport.write(b"\r\n".join(lines))
        self._end()
