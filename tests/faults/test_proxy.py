"""The proxy does to connections what it says: whoever proves something with it relies on that."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.faults.proxy import End, Fault, proxied

SAID = b"0123456789" * 20
ENOUGH = b"enough\n"
"""What ends the server that answers."""


@contextmanager
def answering() -> Iterator[tuple[int, list[bytes]]]:
    """A server that takes one line a connection, answers `SAID` and closes: its port, and what it was told."""
    told: list[bytes] = []

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            # One that is cut before anything came through, or in the middle, is not the end of the server.
            with suppress(OSError), connection, connection.makefile("rb") as lines:
                line = lines.readline()
                if line == ENOUGH:
                    return
                if line:
                    told.append(line)
                if line.endswith(b"\n"):
                    connection.sendall(SAID)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield port, told
        finally:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(ENOUGH)
            thread.join(10)


def asked(port: int, patience: float = 10) -> bytes:
    """All that comes back for one line. Raises `ConnectionResetError`, and `TimeoutError` once nothing comes for `patience` seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        connection.sendall(b"what is said\n")
        heard = b""
        while piece := connection.recv(1 << 16):
            heard += piece
        return heard


def test_by_default_everything_passes() -> None:
    with answering() as (port, told), proxied(port) as proxy:
        assert asked(proxy.port) == asked(proxy.port) == SAID
        assert told == [b"what is said\n"] * 2
        assert proxy.connections == 2
        assert proxy.asked == b"what is said\n" * 2


@pytest.mark.parametrize("end", [End.CLOSE, End.HALF_CLOSE])
@pytest.mark.parametrize("place", [0, 1, len(SAID) - 1])
def test_an_answer_ends_after_so_many_bytes(end: End, place: int) -> None:
    with answering() as (port, _), proxied(port, Fault(answer=place, end=end)) as proxy:
        assert asked(proxy.port) == SAID[:place]


def test_a_reset_is_one() -> None:
    with answering() as (port, _), proxied(port, Fault(answer=7)) as proxy, pytest.raises(ConnectionResetError):
        asked(proxy.port)


def test_a_request_that_is_cut_never_arrives_whole() -> None:
    with answering() as (port, told), proxied(port, Fault(request=4)) as proxy:
        with pytest.raises(ConnectionResetError):
            asked(proxy.port)
        assert proxy.asked == b"what"
    assert b"what is said\n" not in told


def test_a_black_hole_takes_connections_and_says_nothing() -> None:
    with proxied(0, Fault(black_hole=True)) as proxy:
        with pytest.raises(TimeoutError):
            asked(proxy.port, patience=0.2)
        assert proxy.connections == 1


@pytest.mark.parametrize("slow", [Fault(rate=2000), Fault(delay=0.09)])
def test_what_is_slowed_down_arrives_whole_and_late(slow: Fault) -> None:
    with answering() as (port, _), proxied(port, slow) as proxy:
        begun = time.monotonic()
        assert asked(proxy.port) == SAID
        assert time.monotonic() - begun >= 0.045


def test_a_fault_may_be_exchanged_for_the_connections_to_come() -> None:
    with answering() as (port, _), proxied(port, Fault(answer=0, end=End.CLOSE)) as proxy:
        assert asked(proxy.port) == b""
        proxy.fault = Fault()
        assert asked(proxy.port) == SAID
