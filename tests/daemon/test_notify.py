"""The notify protocol over real datagram sockets, as systemd would listen to it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.daemon.notify import STATUS_LIMIT, Notifier
from tests.daemon.notify_socket import NotifySocket


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    address = tmp_path / "notify" if request.param == "path" else f"@fleet-test-{os.getpid()}-{time.monotonic_ns()}"
    with NotifySocket(address) as listening:
        yield listening


@pytest.fixture
def notifier(manager: NotifySocket) -> Iterator[Notifier]:
    made = Notifier(manager.environment, monotonic_ns=lambda: 1_234_567_890_123)
    yield made
    made.close()


def test_from_start_to_stop(manager: NotifySocket, notifier: Notifier) -> None:
    notifier.status("opening the record")
    notifier.ready("3 hosts, looking at them")
    notifier.watchdog()
    notifier.reloading()
    notifier.ready()
    notifier.extend_timeout(22.5)
    notifier.stopping("letting 2 uploads end")
    assert [manager.next() for _ in range(7)] == [
        {"STATUS": "opening the record"},
        {"READY": "1", "STATUS": "3 hosts, looking at them"},
        {"WATCHDOG": "1"},
        {"RELOADING": "1", "MONOTONIC_USEC": "1234567890"},
        {"READY": "1"},
        {"EXTEND_TIMEOUT_USEC": "22500000"},
        {"STOPPING": "1", "STATUS": "letting 2 uploads end"},
    ]
    assert notifier.dropped == 0


def test_the_moment_of_a_reload_is_of_the_clock_that_systemd_compares_with(manager: NotifySocket) -> None:
    notifier = Notifier(manager.environment)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    assert before <= int(manager.next()["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # A field smuggled in by a line of its own would end the service's start, or feed its watchdog.
        ("gpu-a says\nWATCHDOG=1\nREADY=1", "gpu-a says\\x0aWATCHDOG=1\\x0aREADY=1"),
        ("\x1b[31mred\u202e \ud800", "\\x1b[31mred\\u202e \\ud800"),
        ("asked https://me:secret@host/x?sig=1", "asked https://host/x?…"),
        ("", ""),
    ],
)
def test_whatever_a_status_has_in_it_is_one_line(
    manager: NotifySocket, notifier: Notifier, text: str, told: str
) -> None:
    notifier.status(text)
    assert manager.next() == {"STATUS": told}
    assert notifier.told == told


def test_a_long_status_is_cut(manager: NotifySocket, notifier: Notifier) -> None:
    notifier.ready("é" * 100_000)
    told = manager.next()
    assert told == {"READY": "1", "STATUS": "é" * (STATUS_LIMIT - 1) + "…"}


@pytest.mark.parametrize("given", [None, "", "@", "relative/path", "vsock:2:1234"])
def test_without_a_socket_nothing_happens(given: str | None) -> None:
    notifier = Notifier({} if given is None else {"NOTIFY_SOCKET": given})
    notifier.ready("ready")
    notifier.reloading()
    notifier.watchdog()
    notifier.stopping()
    notifier.close()
    assert (notifier.dropped, notifier.told) == (0, "ready")


@pytest.mark.parametrize("address", ["/nobody/listens/here", "/" + "x" * 300, "/a\0b", "@" + "x" * 300])
def test_a_socket_that_cannot_be_reached_is_counted(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.watchdog()
    notifier.close()
    assert notifier.dropped == 2


def test_a_full_queue_is_not_waited_for_and_what_counts_is_told_later(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        filled = 0
        while not notifier.dropped:  # it would wait here for ever, if it waited
            notifier.watchdog()
            filled += 1
        notifier.status("first")
        notifier.reloading()
        notifier.status("second")
        notifier.ready("third")
        notifier.watchdog()
        assert notifier.dropped == 6
        for _ in range(filled - 1):
            assert manager.recv(4096) == b"WATCHDOG=1"
        notifier.watchdog()
        # The newest state and status, and the one sign of life that is of now.
        assert sorted(manager.recv(4096).split(b"\n")) == [b"READY=1", b"STATUS=third", b"WATCHDOG=1"]
        notifier.watchdog()
        assert manager.recv(4096) == b"WATCHDOG=1"
        notifier.close()


def test_what_is_told_after_the_end_is_told_to_nobody(manager: NotifySocket, notifier: Notifier) -> None:
    notifier.close()
    notifier.stopping("bye")
    notifier.close()
    assert manager.here() == []


@pytest.mark.parametrize(
    ("given", "interval"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "77"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "x"}, None),
        ({"WATCHDOG_USEC": "1"}, 5e-07),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "½"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
        ({"WATCHDOG_PID": "77"}, None),
        ({}, None),
    ],
)
def test_signs_of_life_are_wanted_at_half_the_managers_interval(given: dict[str, str], interval: float | None) -> None:
    assert Notifier(given, pid=77).watchdog_interval == interval
