"""The service's side of systemd's notify protocol (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names.

Telling the service manager something must never be what holds the daemon up: nothing here raises or waits.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

from fleet.foreign import clean

STATUS_LIMIT = 200
"""Characters of a status: `systemctl status` shows it in one line."""


def _monotonic_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Notifier:
    """Tells the service manager how the daemon is. Without NOTIFY_SOCKET, or with one of another kind, it tells nobody.

    What the manager has to know of state and status is sent again with the next datagram where one was lost; a
    sign of life is not, since it would then come at a time at which there was none.
    """

    def __init__(
        self, environment: Mapping[str, str], *, pid: int | None = None, monotonic_ns: Callable[[], int] = _monotonic_ns
    ) -> None:
        """`environment` is the process' own, `pid` its number, `monotonic_ns` the clock that the manager compares with,
        CLOCK_MONOTONIC.
        """
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._monotonic_ns = monotonic_ns
        self._socket = _open() if self._address is not None else None
        self._owed: dict[str, str] = {}
        self.watchdog_interval = _watchdog_interval(environment, os.getpid() if pid is None else pid)
        """Seconds between two signs of life, half of what the manager waits for; nothing where it waits for none."""
        self.told = ""
        """The status that was given last."""
        self.dropped = 0
        """Datagrams that could not be sent."""

    def ready(self, status: str | None = None) -> None:
        """Start-up, or a reload, has ended well or badly: the service serves."""
        self._state("READY=1", status)

    def reloading(self) -> None:
        """Settings are read anew; `ready` has to follow."""
        self._state(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic_ns() // 1000}", None)

    def stopping(self, status: str | None = None) -> None:
        """The end has begun."""
        self._state("STOPPING=1", status)

    def status(self, text: str) -> None:
        """One line for people, whatever `text` has in it."""
        self.told = clean(text, STATUS_LIMIT)
        self._send({"status": f"STATUS={self.told}"})

    def watchdog(self) -> None:
        """A sign of life."""
        self._send({"watchdog": "WATCHDOG=1"})

    def extend_timeout(self, seconds: float) -> None:
        """Starting or stopping takes longer than the unit says: the next word comes within `seconds` from now."""
        self._send({"extend": f"EXTEND_TIMEOUT_USEC={max(0, round(seconds * 1_000_000))}"})

    def close(self) -> None:
        """Gives the socket back; whatever is told afterwards is told to nobody."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _state(self, fields: str, status: str | None) -> None:
        told = {"state": fields}
        if status is not None:
            self.told = clean(status, STATUS_LIMIT)
            told["status"] = f"STATUS={self.told}"
        self._send(told)

    def _send(self, fields: dict[str, str]) -> None:
        if self._socket is None or self._address is None:
            return
        fields = {**self._owed, **fields}
        try:
            self._socket.sendto("\n".join(fields.values()).encode(), self._address)
        except (OSError, ValueError):
            # A full queue (EAGAIN), no listener, a path that is none: the manager will ask by its watchdog.
            self.dropped += 1
            self._owed = {kind: field for kind, field in fields.items() if kind in {"state", "status"}}
        else:
            self._owed = {}


def _address(given: str) -> str | bytes | None:
    """A path as it is; a name in the abstract namespace, which begins with `@`, as the kernel writes it."""
    if given.startswith("@") and len(given) > 1:
        return b"\0" + os.fsencode(given[1:])
    return given if given.startswith("/") else None


def _open() -> socket.socket | None:
    try:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError:
        return None
    opened.setblocking(False)
    return opened


def _watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """WATCHDOG_PID is there where another process than the reader may inherit the variables (sd_watchdog_enabled(3))."""
    if environment.get("WATCHDOG_PID", str(pid)).strip() != str(pid):
        return None
    given = environment.get("WATCHDOG_USEC", "").strip()
    if not (given.isascii() and given.isdigit() and len(given) <= 18 and int(given)):
        return None
    return int(given) / 2_000_000
