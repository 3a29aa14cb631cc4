"""Sends one blob by blocking calls over a connection of its own; meant for a thread, which another one may stop.

Not by the HTTP library: for each of the 131,072 TLS records of 2 GiB it sets the time limit and waits for the socket
anew, which costs more than `curl` takes (`docs/performance.md`). One request of known length needs no more of HTTP/1.1
than its head; the reply is read by the standard library.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum

from fleet.ollama.answer import Answer
from fleet.ollama.connection import Connection, CutError, Target, addresses_of
from fleet.ollama.reply import Ear, read_reply

Block = bytes | bytearray | memoryview
_STORED = frozenset({200, 201})


class Stage(StrEnum):
    """What an upload is busy with."""

    LOOKING_UP = "looking up"
    CONNECTING = "connecting"
    """TLS included."""
    READING = "reading"
    """Waiting for the next block from this machine."""
    SENDING = "sending"
    """Waiting for the host to take a block."""
    ANSWERING = "answering"
    """All was taken, or the host would take no more."""


class WrongLengthError(Exception):
    """The blocks are not as long as was announced."""


class Sending:
    """One request with one body. `run` is for the thread; the rest may be asked and told from another one."""

    def __init__(self, target: Target, head: bytes, blocks: Iterable[Block], size: int, *, most: int) -> None:
        """`head` has the length `size` in it; `most`: bytes of the reply's body that are read."""
        self._target = target
        self._connection = Connection(target)
        self._head = head
        self._blocks = blocks
        self._size = size
        self._most = most
        self.taken = 0
        """Bytes of the body that the system took."""
        self.at = Stage.LOOKING_UP, time.monotonic()
        """The stage, and since when by the monotonic clock."""
        self.fault: BaseException | None = None
        """What the source of the blocks raised."""

    def run(self) -> Answer:
        """The reply, which may have come before the end of the body: `taken` tells.

        Raises what the source of the blocks raises (`fault`), `WrongLengthError`, `connection.CutError`, `OSError` and
        `http.client.HTTPException`. A source that can be closed is closed.
        """
        blocks = self._source()
        try:
            addresses = addresses_of(self._target)
            self._stand(Stage.CONNECTING)
            opened = self._connection.open(addresses)
            try:
                said = self._send(opened, blocks)
                self._stand(Stage.ANSWERING)
                return read_reply(opened, said, most=self._most, wordless=_STORED)
            finally:
                self._connection.close()
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()

    def stop(self) -> None:
        """Lets `run` end soon, by an error. Where it waits for the source of the blocks, it ends after that."""
        self._connection.cut()

    def _stand(self, stage: Stage) -> None:
        self.at = stage, time.monotonic()

    def _source(self) -> Iterator[Block]:
        try:
            return iter(self._blocks)
        except BaseException as error:
            self.fault = error
            raise

    def _send(self, opened: socket.socket, blocks: Iterator[Block]) -> bytes:
        """Sends head and body. The beginning of a reply that came before the end, or nothing."""
        ear = Ear(opened)
        try:
            self._stand(Stage.SENDING)
            sys.audit("fleet.request", "POST", "/api/blobs")
            opened.sendall(self._head)
            while True:
                said = ear.heard()
                if said:
                    return said
                self._stand(Stage.READING)
                block = self._next(blocks)
                if block is None:
                    return b""
                if self.taken + len(block) >= self._size:
                    # Until here the system may gather the small records of TLS; the end must not wait for more.
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._stand(Stage.SENDING)
                sys.audit("fleet.block", self.taken)
                opened.sendall(block)
                self.taken += len(block)
        except OSError as error:
            if error is self.fault or self._connection.was_cut:
                raise
            # It may have answered and closed: a blob that is there is not read again (`ollama-api.md` 6).
            said = ear.last_words()
            if not said:
                raise
            return said

    def _next(self, blocks: Iterator[Block]) -> Block | None:
        """The next block, or nothing at the end. What would be too much is not sent."""
        try:
            block = next(blocks, None)
        except BaseException as error:
            self.fault = error
            raise
        if self._connection.was_cut:
            raise CutError
        left = self._size - self.taken - (len(block) if block is not None else 0)
        if left < 0:
            raise WrongLengthError("has more bytes than announced")
        if block is None and left:
            raise WrongLengthError(f"ended {left} bytes before its announced end")
        return block
