"""A host that takes uploads and throws them away: `sink.py [tls FOLDER] [hash]`, until its standard input ends.

Prints its port. With `hash` it does what Ollama does besides writing: it answers once it knows the digest. `FOLDER` holds
`cert.pem` and `key.pem`. A thread for each connection, large reads and no library, so that the clients are what is
measured; whoever speaks to it meets the same one.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path

PIECE = 1 << 20
RECORD = 1 << 14
HEAD = 5
"""Bytes before each record of TLS: its kind, a version, and two for its size."""
SEAL = 17
"""Bytes of a record that seal the others: a tag, and the kind once more."""
THROWN_AWAY = socket.MSG_TRUNC if sys.platform == "linux" else 0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Plain:
    """A connection in the clear."""

    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall
        self.read = connection.recv_into
        self._connection = connection

    def rest(self) -> None:
        """Nothing is left."""

    def drop(self, view: memoryview) -> int:
        """Reads as much as fits, and lets the system throw it away where it can: copying would cost what sending does."""
        return _some(self._connection.recv_into(view, len(view), THROWN_AWAY))


class Secure:
    """TLS 1.3, decrypted as far as the head of a request: of the body, only the sizes of its records are read.

    The standard library takes as long to decrypt as a client to encrypt, so that any two clients would look alike.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._waiting = b""
        """The beginning of a record's head."""
        self._inside = 0
        """Bytes that are left of a record."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._fill()
            else:
                break
        self._flush()

    def write(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def read(self, buffer: memoryview) -> int:
        while True:
            try:
                return int(self._tls.read(RECORD, buffer))
            except ssl.SSLWantReadError:
                self._fill()

    def drop(self, view: memoryview) -> int:
        """Reads as much as is there, and tells how many bytes of the body the records that begin in it hold."""
        count = len(self._waiting)
        view[:count] = self._waiting
        end = count + _some(self._connection.recv_into(view[count:]))
        at, told = self._inside, 0
        while at + HEAD <= end:
            size = view[at + 3] << 8 | view[at + 4]
            told += size - SEAL
            at += HEAD + size
        self._waiting = bytes(view[at:end]) if at < end else b""
        self._inside = max(0, at - end)
        return told

    def rest(self) -> None:
        """Waits for the end of the last record."""
        while self._inside:
            self._inside -= _some(self._connection.recv_into(bytearray(self._inside)))

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._connection.sendall(self._outgoing.read())

    def _fill(self) -> None:
        """One record, and nothing of the next."""
        self._flush()
        head = self._exactly(HEAD)
        self._incoming.write(head + self._exactly(head[3] << 8 | head[4]))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._connection.recv(size - len(data))
            _some(len(piece))
            data += piece
        return data


def serve(connection: socket.socket, context: ssl.SSLContext | None, hashing: bool) -> None:
    """One request."""
    with connection:
        try:
            talk = Secure(connection, context) if context is not None else Plain(connection)
            take(talk, hashlib.sha256().update if hashing else None)
        except OSError:
            return


def take(talk: Plain | Secure, update: Callable[[memoryview], None] | None) -> None:
    piece = bytearray(PIECE)
    view = memoryview(piece)
    have = 0
    while (end := piece.find(b"\r\n\r\n", 0, have)) < 0:
        have += _some(talk.read(view[have:]))
    headers = dict(line.split(b": ", 1) for line in bytes(view[:end]).lower().split(b"\r\n")[1:])
    if b"expect" in headers:
        talk.write(CONTINUE)
    left = int(headers[b"content-length"]) - (have - end - 4)
    if update is not None:
        update(view[end + 4 : have])
    while left > 0:
        if update is None:
            left -= talk.drop(view)
        else:
            got = _some(talk.read(view))
            left -= got
            update(view[:got])
    talk.rest()
    talk.write(CREATED)


def _some(got: int) -> int:
    if not got:
        raise ConnectionError
    return got


def main(arguments: list[str]) -> None:
    context = None
    if arguments[:1] == ["tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(Path(arguments[1], "cert.pem"), Path(arguments[1], "key.pem"))
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(server.getsockname()[1], flush=True)
    threading.Thread(target=accept, args=(server, context, "hash" in arguments), daemon=True).start()
    sys.stdin.read()


def accept(server: socket.socket, context: ssl.SSLContext | None, hashing: bool) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection, context, hashing), daemon=True).start()


main(sys.argv[1:])
