"""Streams of events: what changed, from where somebody was, and an end for those who do not listen."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet.daemon.listener.limits import Limits
from fleet.daemon.status import Condition
from tests.daemon.listener.boards import a_few, fleet, host, item, many
from tests.daemon.listener.served import Served, served

QUICK = Limits(gather=0.01, heartbeat=0.05, streams=2, stall=0.2)


class Stream:
    """One client that listens."""

    def __init__(self, opened: socket.socket) -> None:
        self._lines = opened.makefile("rb")
        self.head = self._until_empty()
        self.id = ""

    def next(self, kind: str | None = None) -> tuple[str, Any]:
        """The next event, or the next of a kind; its data as read from JSON."""
        while True:
            event, data = "message", None
            for line in self._block():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = json.loads(value)
                elif name == "id":
                    self.id = value
            if data is not None and kind in {None, event}:
                return event, data

    def comment(self) -> str:
        """The next comment."""
        while True:
            for line in self._block():
                if line.startswith(":"):
                    return line

    def ended(self) -> bool:
        return self._lines.read() is not None

    def close(self) -> None:
        self._lines.close()

    def _until_empty(self) -> list[str]:
        found: list[str] = []
        while line := self._lines.readline():
            text = line.decode().rstrip("\r\n")
            if not text:
                return found
            found.append(text)
        raise EOFError

    def _block(self) -> list[str]:
        """An event without what parts chunks."""
        return [line for line in self._until_empty() if ": " in line]


@contextmanager
def listening(listener: Served, path: str = "/api/events", headers: str = "") -> Iterator[Stream]:
    with closing(listener.connect()) as opened:
        opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        with closing(Stream(opened)) as stream:
            yield stream


@pytest.fixture(name="few")
def _few(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, a_few(), limits=QUICK) as listener:
        yield listener


def _worse(name: str = "gpu-01") -> Any:
    return host(name, item("qwen3:8b", Condition.STALLED, "missing"))


def test_what_changes_is_told_as_it_happens(few: Served) -> None:
    with listening(few) as stream:
        assert "content-type: text/event-stream; charset=utf-8" in stream.head
        assert stream.next()[0] == "fleet"
        few.put(_worse())
        kind, told = stream.next()
        assert (kind, told["name"], told["condition"]) == ("status", "gpu-01", "stalled")
        assert told["items"][0]["model"] == "qwen3:8b"
        few.put(fleet(dry_run=True))
        kind, told = stream.next()
        assert (kind, told["dry_run"]) == ("fleet", True)
        few.drop("gpu-06")
        assert stream.next() == ("gone", {"name": "gpu-06"})


def test_two_listen_at_once(few: Served) -> None:
    with listening(few) as one, listening(few, "/api/events?items=no&host=gpu-01") as other:
        for stream in (one, other):
            stream.next("fleet")
        few.put(_worse("gpu-02"))
        assert one.next()[1]["name"] == "gpu-02"
        few.put(_worse("gpu-01"))
        assert one.next()[1]["name"] == "gpu-01"
        _, told = other.next()
        assert told["name"] == "gpu-01"
        assert "items" not in told


def test_who_comes_back_is_told_what_was_missed(few: Served) -> None:
    with listening(few) as stream:
        stream.next("fleet")
        few.put(_worse("gpu-01"))
        stream.next("status")
        few.put(_worse("gpu-02"))
        stream.next("status")
    seen = stream.id
    few.put(_worse("gpu-05"))
    few.drop("gpu-06")
    with listening(few, headers=f"Last-Event-ID: {seen}\r\n") as stream:
        assert stream.next("gone")[1] == {"name": "gpu-06"}
        told = {stream.next("status")[1]["name"]}
        # Its last event may have been the middle of what was told: that is told again, and nothing is left out.
        while told != {"gpu-02", "gpu-05"}:
            told.add(stream.next("status")[1]["name"])


def test_status_tells_where_events_go_on(few: Served) -> None:
    version = few.ask("/api/status").json()["version"]
    few.put(_worse("gpu-01"))
    with listening(few, f"/api/events?since={version}") as stream:
        assert stream.next("status")[1]["name"] == "gpu-01"


@pytest.mark.parametrize("told", ["1-3", "x", "9" * 500, "-", "1772280000000-99999"])
def test_of_another_life_everything_is_told(few: Served, told: str) -> None:
    with listening(few, headers=f"Last-Event-ID: {told}\r\n") as stream:
        names = {stream.next("status")[1]["name"] for _ in range(6)}
    assert names == {f"gpu-0{n}" for n in range(1, 7)}


def test_silence_is_no_death(few: Served) -> None:
    with listening(few) as stream:
        stream.next("fleet")
        assert stream.comment() == ": still here"


def test_streams_are_counted(few: Served) -> None:
    with listening(few) as one, listening(few) as two:
        one.next()
        two.next()
        answer = few.ask("/api/events")
        assert (answer.status, answer.json()["code"]) == (503, "too-many-streams")
    # Those who left make room, as soon as that is noticed.
    for _ in range(200):
        with closing(few.connect()) as opened:
            opened.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if b" 200 " in opened.recv(64):
                return
    raise AssertionError("no stream was closed")


def test_a_client_that_does_not_read_is_cut(tmp_path: Path) -> None:
    with served(tmp_path, many(300, 40), limits=QUICK) as listener, closing(socket.socket()) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.settimeout(10)
        opened.connect(("127.0.0.1", listener.port))
        opened.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0-0\r\n\r\n")
        # Others are served meanwhile.
        with listening(listener) as stream:
            stream.next("fleet")
            while listener.connections() > 1:
                stream.comment()
        with pytest.raises(ConnectionResetError), closing(opened.makefile("rb")) as read:
            read.read()


def test_the_end_of_the_listener_ends_streams(tmp_path: Path) -> None:
    with served(tmp_path, a_few()) as listener:
        opened = listener.connect()
        opened.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = Stream(opened)
        stream.next("fleet")
    with closing(opened), closing(stream):
        assert stream.ended()
