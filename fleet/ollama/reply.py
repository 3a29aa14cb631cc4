"""Reads the reply to a request that was sent by hand: it may begin before the request is at its end."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import ssl
from http.client import HTTPResponse, IncompleteRead
from io import BufferedReader, RawIOBase
from typing import cast

from fleet.ollama.answer import Answer

_PIECE = 1 << 16
_INTERIM = re.compile(rb"(?:HTTP/1\.[01] 1[0-9]{2}[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)*")


class Ear:
    """Hears what a host says while it should listen."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def heard(self) -> bytes:
        """The beginning of a reply, or nothing so far. Raises `OSError`, also where it hung up without a word."""
        if not self._poll.poll(0):
            return b""
        self._connection.setblocking(False)
        try:
            said = self._connection.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            # TLS talks to itself, as of tickets to come back with.
            return b""
        finally:
            self._connection.setblocking(True)
        if not said:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        # A server that says to go on, unasked, has not answered.
        interim = _INTERIM.match(said)
        return said[interim.end() :] if interim else said

    def last_words(self) -> bytes:
        """What came before the connection broke; nothing where that cannot be told."""
        try:
            self._connection.settimeout(1.0)
            said = self._connection.recv(_PIECE)
            self._connection.settimeout(None)
        except OSError:
            return b""
        return said


def read_reply(connection: socket.socket, said: bytes, *, most: int, wordless: frozenset[int]) -> Answer:
    """The reply that begins with `said`, and up to `most` bytes of its body where the status is not a wordless one.

    Raises `OSError`, `http.client.HTTPException`.
    """
    with HTTPResponse(cast("socket.socket", _Incoming(connection, said)), method="POST") as response:
        response.begin()
        headers = tuple(
            (key.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for key, value in response.getheaders()
        )
        try:
            body = b"" if response.status in wordless else response.read(most)
        except IncompleteRead as cut:
            body = cut.partial
        return Answer(response.status, headers, body)


class _Incoming(RawIOBase):
    """A connection to read from, with what was read before in front. Closing it leaves the connection open."""

    def __init__(self, connection: socket.socket, said: bytes) -> None:
        self._connection = connection
        self._said = said

    def makefile(self, _mode: str) -> BufferedReader:
        return BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # nothing else is given
        if not self._said:
            return self._connection.recv_into(buffer)
        count = min(len(buffer), len(self._said))
        buffer[:count] = self._said[:count]
        self._said = self._said[count:]
        return count
