"""A connection of blocking calls, which another thread may cut."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock


class CutError(Exception):
    """Nobody wants the connection any more."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to, and how many seconds that may take. Without a context there is no TLS."""

    host: str
    port: int
    context: ssl.SSLContext | None
    server_name: str | None
    within: float


class Connection:
    """One socket, TLS included. `cut` is for other threads; all the rest belongs to the one that waits for the host."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self.was_cut = False

    def cut(self) -> None:
        """Lets whatever waits for the host fail at once, now or later."""
        with self._lock:
            self.was_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    # TLS's own `shutdown` would let what comes next go out in the clear.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None

    def open(self, addresses: Addresses) -> socket.socket:
        """The socket, connected and without a time limit of its own. Raises `OSError`, `CutError`."""
        until = time.monotonic() + self._target.within
        try:
            opened = self._reached(addresses, until)
            if self._target.context is not None:
                opened = self._secured(opened, self._target.context, until)
            # Who waits for this thread watches the time: a limit here would cost a call for each record of TLS.
            opened.settimeout(None)
        except BaseException:
            self.close()
            raise
        return opened

    def _reached(self, addresses: Addresses, until: float) -> socket.socket:
        """Connected to the first address that can be; each gets its share of the time that is left."""
        refused: OSError | None = None
        for number, (family, address) in enumerate(addresses):
            tried = socket.socket(family, socket.SOCK_STREAM)
            self._hold(tried)
            try:
                tried.settimeout(_until(until) / (len(addresses) - number))
                tried.connect(address)
            except OSError as error:
                refused = refused or error
                self.close()
            else:
                return tried
        raise refused or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def _secured(self, plain: socket.socket, context: ssl.SSLContext, until: float) -> ssl.SSLSocket:
        name = self._target.server_name or self._target.host
        with self._lock:
            secure = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            self._socket = secure
        secure.settimeout(_until(until))
        secure.do_handshake()
        return secure

    def _hold(self, tried: socket.socket) -> None:
        with self._lock:
            if self.was_cut:
                tried.close()
                raise CutError
            self._socket = tried


Addresses = list[tuple[int, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]]
"""Families and addresses, in the order in which they are tried."""


def addresses_of(target: Target) -> Addresses:
    """Asks the resolver, which nothing can interrupt. Raises `OSError`, `UnicodeError`."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _until(moment: float) -> float:
    return max(0.001, moment - time.monotonic())
