"""The service manager's end of the notify protocol: a real datagram socket, and waits that end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

Message = dict[str, str]
"""One datagram: `{"READY": "1", "STATUS": "…"}`, in the order of its lines."""

_END = b"end of the test"


class NotifySocket:
    """Listens from the start of its block to its end; `address` is what NOTIFY_SOCKET has to be.

    A thread empties the socket at once, as the service manager does: the kernel keeps ten datagrams or so, and what a
    service cannot send without waiting is lost.
    """

    def __init__(self, address: str | Path) -> None:
        """`address` is a path (at most 107 bytes), or a name in the abstract namespace that begins with `@`."""
        self.address = str(address)
        self.received: list[Message] = []
        """All that was waited past so far."""
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = Thread(target=self._empty, name="notify socket", daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address}

    def __enter__(self) -> Self:
        self._socket.bind(self._bound)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ender:
            ender.sendto(_END, self._bound)
        self._thread.join(10)
        self._socket.close()
        if not self.address.startswith("@"):
            Path(self.address).unlink(missing_ok=True)

    def next(self, within: float = 10.0) -> Message:
        """The next datagram. Raises `AssertionError` where none comes in so many seconds."""
        return self.until(lambda _: True, within)

    def field(self, name: str, value: str | None = None, within: float = 10.0) -> Message:
        """The next datagram that has a field of this name, and of this value where one is given; others are passed."""
        return self.until(lambda message: name in message and value in {None, message[name]}, within)

    def until(self, wanted: Callable[[Message], bool], within: float = 10.0) -> Message:
        """The next datagram that is wanted; others are passed. `received` keeps them all."""
        end = time.monotonic() + within
        passed = len(self.received)
        while True:
            try:
                message = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                raise AssertionError(f"within {within}s came only {self.received[passed:]}") from None
            self.received.append(message)
            if wanted(message):
                return message

    def here(self) -> list[Message]:
        """What came so far and was not waited past, without waiting."""
        found = []
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        self.received += found
        return found

    @property
    def _bound(self) -> str | bytes:
        return b"\0" + self.address[1:].encode() if self.address.startswith("@") else self.address

    def _empty(self) -> None:
        while (datagram := self._socket.recv(65536)) != _END:
            lines = (line.partition("=") for line in datagram.decode().split("\n"))
            self._queue.put({name: value for name, _, value in lines})
