"""Uploads over real sockets: what a client sees of a body that is not read, cut off, reset or changed on the way."""

from __future__ import annotations

import hashlib
import http.client
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.simulated import Simulated, simulated

CONTENT = b"content" * 1000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
LARGE = 1 << 20


@pytest.fixture(scope="module")
def here() -> Iterator[Simulated]:
    with simulated("hosts: {alpha: {version: 0.9.6}, full: {disk: 1MB}}") as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def fresh(here: Simulated) -> None:
    here.heal("alpha")
    for digest in here.state("alpha")["blobs"]:
        here.post("/hosts/alpha/lose", {"digest": digest})
    here.reset()


class Raw:
    """A connection that sends an upload by hand."""

    def __init__(self, here: Simulated, host: str, digest: str) -> None:
        place = urlsplit(here.urls[host])
        self._socket = socket.create_connection((place.hostname or "", place.port or 0), timeout=10)
        self._digest = digest

    def begins(self, length: int, piece: bytes = b"", more: str = "") -> None:
        head = f"POST /api/blobs/{self._digest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n"
        self._socket.sendall(head.encode() + piece)

    def sends(self, piece: bytes) -> None:
        self._socket.sendall(piece)

    def closes_its_side(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self) -> tuple[int, str | None, bytes]:
        """Status, what it says of the connection, body. Raises `ConnectionResetError`, `http.client.HTTPException`."""
        with http.client.HTTPResponse(self._socket) as reply:
            reply.begin()
            return reply.status, reply.getheader("Connection"), reply.read()

    def is_over(self) -> bool:
        return self._socket.recv(1) == b""

    def fills(self, most: int) -> int:
        """Sends until the other side takes no more, `most` bytes at most. Gives how many went."""
        self._socket.setblocking(False)
        sent, piece = 0, bytes(LARGE)
        try:
            while sent < most:
                sent += self._socket.send(piece)
        except BlockingIOError:
            pass
        return sent

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def raw(here: Simulated) -> Iterator[Callable[..., Raw]]:
    """Makes connections, and closes them in the end."""
    opened: list[Raw] = []

    def make(host: str = "alpha", digest: str = DIGEST) -> Raw:
        opened.append(Raw(here, host, digest))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def upload(here: Simulated, content: bytes = CONTENT, digest: str = DIGEST, host: str = "alpha") -> tuple[int, bytes]:
    place = urlsplit(here.urls[host])
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("POST", f"/api/blobs/{digest}", content)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_a_known_blob_is_answered_at_once_and_of_a_long_body_nothing_is_read(
    here: Simulated, raw: Callable[..., Raw]
) -> None:
    assert upload(here) == (201, b"")
    sent = raw()
    sent.begins(LARGE, b"x" * 1000)
    assert sent.answer() == (200, "close", b"")
    assert sent.is_over()


@pytest.mark.parametrize("length", [1000, 256 << 10])
def test_of_a_known_blob_a_short_body_is_read_off(here: Simulated, raw: Callable[..., Raw], length: int) -> None:
    upload(here)
    sent = raw()
    for _ in range(2):
        sent.begins(length, b"x" * length)
        assert sent.answer() == (200, None, b"")


def test_who_asks_before_sending_a_known_blob_need_not_send_it(here: Simulated, raw: Callable[..., Raw]) -> None:
    upload(here)
    sent = raw()
    sent.begins(5, more="Expect: 100-continue\r\n")
    assert sent.answer() == (200, "close", b"")


def test_a_digest_that_is_none_needs_no_body(raw: Callable[..., Raw]) -> None:
    sent = raw(digest="sha256:abc")
    sent.begins(LARGE)
    assert sent.answer() == (400, "close", b'{"error":"invalid digest format"}')


def test_a_body_cut_short_is_500_and_leaves_nothing(here: Simulated, raw: Callable[..., Raw]) -> None:
    sent = raw()
    sent.begins(len(CONTENT), CONTENT[:-1])
    sent.closes_its_side()
    assert sent.answer() == (500, "close", b'{"error":"unexpected EOF"}')
    assert sent.is_over()
    assert here.state("alpha")["blobs"] == {}


def test_a_disk_that_fills_up_ends_the_upload_and_leaves_nothing(here: Simulated, raw: Callable[..., Raw]) -> None:
    content = bytes(2_000_000)
    sent = raw("full")
    sent.begins(len(content) * 2, content)
    status, connection, body = sent.answer()
    assert (status, connection) == (500, "close")
    assert body.endswith(b'no space left on device"}')
    assert (here.state("full")["blobs"], here.state("full")["disk_used"]) == ({}, 0)


def test_two_uploads_at_once_have_one_disk(here: Simulated, raw: Callable[..., Raw]) -> None:
    first, second = (raw("full", f"sha256:{letter * 64}") for letter in "12")
    first.begins(900_000, bytes(600_000))
    while here.state("full")["disk_used"] < 600_000:
        pass
    second.begins(900_000, bytes(600_000))
    assert second.answer()[0] == 500
    first.sends(bytes(300_000))
    assert first.answer()[0] == 400, "it does not hash to that, but there was room"
    here.post("/hosts/full/lose", {"digest": next(iter(here.state("full")["blobs"]))})


@pytest.mark.parametrize("size", [0, 1, len(CONTENT) // 2, len(CONTENT)])
def test_reset_breaks_an_upload_after_so_many_bytes(here: Simulated, size: int) -> None:
    here.fault("alpha", {"fault": "reset", "endpoint": "blob_post", "bytes": size, "times": 1})
    with pytest.raises(ConnectionResetError):
        upload(here)
    assert here.state("alpha")["blobs"] == {}
    assert upload(here) == (201, b"")


def test_an_upload_that_was_taken_may_lose_its_answer(here: Simulated) -> None:
    here.fault("alpha", {"fault": "lost-answer", "endpoint": "blob_post"})
    with pytest.raises(ConnectionResetError):
        upload(here)
    assert here.state("alpha")["blobs"] == {DIGEST: len(CONTENT)}


@pytest.mark.parametrize("size", [0, 500])
def test_early_success_says_that_the_blob_is_there_and_leaves(
    here: Simulated, raw: Callable[..., Raw], size: int
) -> None:
    here.fault("alpha", {"fault": "early-success", "bytes": size})
    sent = raw()
    sent.begins(LARGE, b"x" * 600)
    assert sent.answer() == (200, "close", b"")
    assert sent.is_over()
    assert here.state("alpha")["blobs"] == {}


@pytest.mark.parametrize("byte", [0, 4321, len(CONTENT) - 1])
def test_corrupt_changes_one_byte_and_the_host_notices(here: Simulated, byte: int) -> None:
    here.fault("alpha", {"fault": "corrupt", "endpoint": "blob_post", "byte": byte})
    changed = CONTENT[:byte] + bytes([CONTENT[byte] ^ 0xFF]) + CONTENT[byte + 1 :]
    other = f"sha256:{hashlib.sha256(changed).hexdigest()}"
    status, body = upload(here)
    assert (status, other.encode() in body) == (400, True)
    assert here.state("alpha")["orphans"] == {other: len(CONTENT)}


def test_full_disk_may_strike_in_the_middle(here: Simulated) -> None:
    here.fault("alpha", {"fault": "full-disk", "bytes": 5000})
    status, body = upload(here)
    assert (status, body.endswith(b'no space left on device"}')) == (500, True)
    assert here.state("alpha")["blobs"] == {}


def test_a_stalled_upload_is_taken_in_part_and_never_answered(here: Simulated, raw: Callable[..., Raw]) -> None:
    here.fault("alpha", {"fault": "stall", "endpoint": "blob_post", "part": 0.1})
    sent = raw()
    sent.begins(1 << 30)
    assert sent.fills(1 << 30) < 1 << 30


def test_uploads_are_counted_by_digest(here: Simulated) -> None:
    for _ in range(2):
        upload(here)
    upload(here, b"wrong", "sha256-" + "1" * 64)
    assert here.uploads("alpha") == {DIGEST: 2, "sha256:" + "1" * 64: 1}
