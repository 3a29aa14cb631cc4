"""Clients that want to hold up the listener: large, slow, many, broken."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from fleet.daemon.listener.limits import Limits
from fleet.daemon.listener.sockets import parse_address
from fleet.errors import FleetError, InputError, LockError
from tests.daemon.listener.boards import a_few, many
from tests.daemon.listener.served import Served, served

QUICK = Limits(head=0.1, body=0.1, stall=0.2, connections=4)
ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(name="few")
def _few(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, a_few(), limits=QUICK) as listener:
        yield listener


def _said(opened: socket.socket) -> bytes:
    """All until the end, also where that is a reset."""
    said = b""
    try:
        while part := opened.recv(1 << 16):
            said += part
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000, b"431"),
        (b"GET /" + b"x" * 40_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 8_000, b"431"),
        (b"\r\n" * 20_000, b"431"),
        (b"POST /hooks/git HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\nx", b"413"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", b"403"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"CONNECT evil:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_is_refused(few: Served, sent: bytes, status: bytes) -> None:
    with closing(few.connect()) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):
            opened.sendall(sent)
        said = _said(opened)
        assert said == b"" or said.startswith(b"HTTP/1.1 " + status)
        assert status != b"400" or b'"code":' in said
    assert few.ask("/healthz").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hea",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"POST /api/reconcile HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
        b"POST /hooks/git HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ASK,
        ASK + b"GET /hea",
        ASK + b"\r\n",
    ],
)
def test_who_sends_no_more_is_cut(few: Served, sent: bytes) -> None:
    with closing(few.connect()) as opened:
        opened.sendall(sent)
        _said(opened)  # comes to its end


def test_an_endless_body_in_chunks_ends(few: Served) -> None:
    with closing(few.connect()) as opened:
        opened.sendall(b"POST /hooks/git HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            opened.sendall((b"10000\r\n" + b"x" * 65536 + b"\r\n") * 500)


def test_too_many_requests_ahead_end_the_connection(few: Served) -> None:
    with closing(few.connect()) as opened:
        opened.sendall(ASK * 1000)
        assert _said(opened).count(b"HTTP/1.1 200") < 1000
    assert few.ask("/healthz").status == 200


def test_some_requests_ahead_are_answered_in_order(few: Served) -> None:
    with closing(few.connect()) as opened:
        opened.sendall(ASK + b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n" + ASK)
        said = _said(opened)
    assert [said[place + 9 : place + 12] for place in _places(said, b"HTTP/1.1 ")] == [b"200", b"404", b"200"]


def _places(text: bytes, part: bytes) -> list[int]:
    return [place for place in range(len(text)) if text.startswith(part, place)]


def test_the_longest_idle_makes_room(tmp_path: Path) -> None:
    limits = Limits(connections=4)
    with served(tmp_path, a_few(), limits=limits) as listener, ExitStack() as stack:
        idle = [stack.enter_context(closing(listener.connect())) for _ in range(4)]
        for opened in idle:
            opened.sendall(b"GET")
        assert listener.ask("/healthz").status == 200
        assert _said(idle[0]) == b""
        # The Unix socket has places of its own.
        assert listener.ask("/healthz", unix=True).status == 200


def test_where_all_are_at_work_the_next_is_refused(tmp_path: Path) -> None:
    with served(tmp_path, a_few(), limits=Limits(connections=2)) as listener, ExitStack() as stack:
        for _ in range(2):
            opened = stack.enter_context(closing(listener.connect()))
            opened.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert opened.recv(12) == b"HTTP/1.1 200"
        answer = listener.ask("/healthz")
        assert (answer.status, answer.json()["code"]) == (503, "busy")


def test_a_long_answer_that_nobody_reads_is_cut(tmp_path: Path) -> None:
    with served(tmp_path, many(400, 40), limits=QUICK) as listener, closing(socket.socket()) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.settimeout(10)
        opened.connect(("127.0.0.1", listener.port))
        opened.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while listener.connections() > 0:
            listener.ask("/healthz", unix=True)
        with pytest.raises(ConnectionResetError), closing(opened.makefile("rb")) as read:
            read.read()


def test_a_client_that_leaves_in_the_middle_is_forgotten(tmp_path: Path) -> None:
    with served(tmp_path, many(400, 40)) as listener:
        for _ in range(3):
            opened = listener.connect()
            opened.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert opened.recv(1)
            opened.close()
        while listener.connections() > 0:
            assert listener.ask("/healthz", unix=True).status == 200


def test_the_socket_is_its_owners(few: Served) -> None:
    assert stat.S_IMODE(few.unix.stat().st_mode) == 0o600


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(tmp_path / "fleet.sock"))
    with served(tmp_path, a_few()) as listener:
        assert listener.ask("/healthz", unix=True).status == 200
    assert not list(tmp_path.iterdir())


def test_a_living_daemons_socket_is_not(few: Served) -> None:
    with pytest.raises(LockError, match="another daemon answers"), served(few.unix.parent, a_few()):
        pass
    assert few.ask("/healthz", unix=True).status == 200


def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "fleet.sock").write_text("dear diary")
    with pytest.raises(FleetError, match="in the way"), served(tmp_path, a_few()):
        pass
    assert (tmp_path / "fleet.sock").read_text() == "dear diary"


def test_a_port_that_is_taken_is_told_and_nothing_stays(tmp_path: Path, few: Served) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    with (
        pytest.raises(FleetError, match=f"cannot listen at `127.0.0.1:{few.port}`"),
        served(folder, a_few(), port=few.port),
    ):
        pass
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:11480", ("127.0.0.1", 11480)), ("[::1]:0", ("::1", 0)), ("gpu-01:80", ("gpu-01", 80))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "11480", ":11480", "::1:11480", "a:", "a:b", "a:65536", "a:-1", "[::1]"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="no address"):
        parse_address(text)
