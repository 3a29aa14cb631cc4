"""Asking a daemon over its socket: bounded, and no obstacle where none listens."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.running_daemon import ask_daemon
from fleet.settings import Settings
from fleet.state.folder import StateError, file_name, name_of_file, socket_path
from tests.cli.daemon_socket import answering


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tmp_path.chmod(0o700)
    return Settings(state_dir=str(tmp_path))


@contextmanager
def saying(path: Path, raw: bytes, *, then_close: bool = True) -> Iterator[None]:
    """One connection is answered with these bytes, whatever it asks."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        done = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(raw)
                if not then_close:
                    done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def test_an_answer_is_status_and_document(settings: Settings) -> None:
    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        return (200 if method == "GET" else 404), {"path": path, "body": body}

    with answering(socket_path(settings.state_dir, "a b"), answer) as asked:
        assert ask_daemon(settings, "a b", "GET", "/api/history?limit=3") == (
            200,
            {"path": "/api/history?limit=3", "body": None},
        )
        assert ask_daemon(settings, "a b", "POST", "/api/resume", {"host": "é"}) == (
            404,
            {"path": "/api/resume", "body": {"host": "é"}},
        )
    assert len(asked) == 2


def test_no_daemon_is_no_answer_and_not_worth_a_word(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_daemon(settings, "fleet", "GET", "/") is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(settings.state_dir, "fleet")))
    assert ask_daemon(settings, "fleet", "GET", "/") is None
    assert ask_daemon(settings, "x" * 200, "GET", "/") is None, "no socket has such a long path"
    assert ask_daemon(Settings(state_dir="/nowhere/at/all"), "fleet", "GET", "/") is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("raw", "then_close"),
    [
        (b"", True),
        (b"220 mail.example ESMTP\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + b"[" * 100_000, True),
        (b"HTTP/1.1 200 OK\r\n", False),
    ],
)
def test_what_is_no_answer_is_said_and_counts_as_none(
    raw: bytes, then_close: bool, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    path = socket_path(settings.state_dir, "fleet")
    with saying(path, raw, then_close=then_close):
        assert ask_daemon(settings, "fleet", "GET", "/", patience=0.2) is None
    told = capsys.readouterr().err
    assert told.startswith("note: the daemon gave no answer ")
    assert str(path) in told


def test_who_others_could_speak_for_is_not_asked(settings: Settings) -> None:
    Path(settings.state_dir).chmod(0o777)
    with answering(socket_path(settings.state_dir, "fleet"), lambda *_: (200, {})) as asked:
        with pytest.raises(StateError, match="writable by others"):
            ask_daemon(settings, "fleet", "GET", "/")
        assert asked == []


@pytest.mark.parametrize("name", ["fleet", "a b", "../é%", "", "%", "%000041", "\N{SNOWMAN}\U0010ffff"])
def test_a_name_comes_back_from_the_name_of_its_file(name: str) -> None:
    assert name_of_file(file_name(name)) == name
    assert "/" not in file_name(name)
