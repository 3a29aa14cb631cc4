"""A real `fleet daemon` beside the test: waited for by what it tells the service manager and by its own events."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.daemon.notify_socket import NotifySocket
from tests.fleet_command import COMMAND, FleetCommand, Started

DRIVEN = Path(__file__).parent / "daemon/driven.py"
WITHIN = 30.0
"""Seconds for whatever is waited for."""


class DaemonProcess:
    """Runs for as long as its block lasts, with nothing on TCP unless told, and a short folder for its record: paths of
    sockets may not be long.
    """

    def __init__(
        self,
        run_fleet: FleetCommand,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        driven: str | None = None,
        listen: bool = False,
    ) -> None:
        """With `listen` it serves at `url` as well; with `driven` it is what `tests/daemon/driven.py` makes of it, and takes its settings from `environment`."""
        self._command = (COMMAND, "daemon") if driven is None else (sys.executable, DRIVEN, driven)
        self._run_fleet = run_fleet
        self._arguments = arguments
        self._given = environment or {}
        # Bound as well, so that nobody else is given the port meanwhile.
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listen = "none"
        if listen:
            self._kept.bind(("127.0.0.1", 0))
            self._listen = f"127.0.0.1:{self._kept.getsockname()[1]}"
        self._folder = tempfile.TemporaryDirectory(prefix="fleet")
        self.state = Path(self._folder.name) / "s"
        self.manager = NotifySocket(Path(self._folder.name) / "n")
        self.stderr = ""
        self.code: int | None = None
        self._process: Started | None = None

    @property
    def url(self) -> str:
        """Of its page."""
        return f"http://{self._listen}"

    @property
    def environment(self) -> dict[str, str]:
        """For commands that are to meet this daemon."""
        return {
            "OLLAMA_FLEET_STATE_DIR": str(self.state),
            "OLLAMA_FLEET_LISTEN": self._listen,
            "OLLAMA_FLEET_SETTLE": "20ms",
            "OLLAMA_FLEET_RETRY_WAIT": "1ms",
            **self._given,
        }

    def __enter__(self) -> Self:
        self.manager.__enter__()
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.end()
        self._kept.close()
        self.manager.__exit__(kind, value, trace)
        self._folder.cleanup()

    def _begin(self) -> None:
        told = {**self.manager.environment, **self.environment}
        self._process = self._run_fleet.start(*self._arguments, environment=told, command=self._command)
        self.manager.field("READY", "1", within=WITHIN)

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends it and tells its exit code; what it logged is in `stderr` then."""
        process, self._process = self._process, None
        assert process is not None
        with process:
            process.send_signal(number)
            _, self.stderr = process.communicate(timeout=WITHIN)
        self.code = process.returncode
        return self.code

    def restart(self) -> None:
        """Ends it and begins another one with the same record."""
        self.end()
        self._begin()

    def log(self) -> list[dict[str, Any]]:
        """What it logged, once it has ended."""
        return [json.loads(line) for line in self.stderr.splitlines()]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Status and document of one question by the Unix socket."""
        connection = ByUnix(self._socket)
        try:
            raw = None if body is None else json.dumps(body)
            connection.request(method, path, raw, {"Content-Type": "application/json"} if raw is not None else {})
            reply = connection.getresponse()
            text = reply.read().decode()
            return reply.status, json.loads(text) if text.startswith(("{", "[")) else text
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/api/status")[1]
        return found

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Looks at the status each time that the daemon tells of a change, until it is as wanted."""
        connection, end = ByUnix(self._socket), time.monotonic() + WITHIN
        try:
            connection.request("GET", "/api/events")
            stream = connection.getresponse()
            while True:
                # The stream is open before the first look: nothing in between is missed.
                status = self.status()
                if wanted(status):
                    return status
                assert time.monotonic() < end, f"it never came: {json.dumps(status, indent=1)}"
                with suppress(TimeoutError):
                    while stream.readline().strip():
                        pass
        finally:
            connection.close()

    @property
    def _socket(self) -> Path:
        (found,) = self.state.glob("*.sock")
        return found


class ByUnix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WITHIN)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WITHIN)
        self.sock.connect(str(self._path))


def conditions(status: dict[str, Any]) -> dict[str, str]:
    """Of each host."""
    return {host["name"]: host["condition"] for host in status["hosts"]}
