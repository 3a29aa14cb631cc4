"""A listener at work for tests: served by a thread with a loop of its own, so that tests may block on their sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from fleet.daemon.board import Board
from fleet.daemon.listener.access import Access
from fleet.daemon.listener.application import Application
from fleet.daemon.listener.limits import Limits
from fleet.daemon.listener.serving import serving
from fleet.daemon.status import FleetStatus, HostStatus, PassStatus
from fleet.names import HostName
from tests.daemon.listener.boards import NOW

T = TypeVar("T")
TOKEN = b"correct-horse-battery"


@dataclass
class Asked:
    """Actions that keep what they were asked for."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    fails: Exception | None = None
    """What suspending and resuming raise."""
    passes: Sequence[PassStatus] = ()
    documents: dict[int, dict[str, Any]] = field(default_factory=dict)

    def reconcile(self, trigger: str, hosts: Sequence[HostName] = ()) -> None:
        self.calls.append(("reconcile", trigger, *hosts))

    def source_moved(self, ref: str | None) -> None:
        self.calls.append(("moved", ref))

    def suspend(self, host: HostName, until: datetime | None, reason: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.calls.append(("suspend", host, until, reason))

    def resume(self, host: HostName) -> None:
        if self.fails is not None:
            raise self.fails
        self.calls.append(("resume", host))

    def history(self, limit: int, before: int | None = None) -> Sequence[PassStatus]:
        return [one for one in self.passes if before is None or one.number < before][:limit]

    def pass_document(self, number: int) -> dict[str, Any] | None:
        return self.documents.get(number)


@dataclass(frozen=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A running listener, its board, and what it was asked to do."""

    def __init__(self, board: Board, port: int, unix: Path, loop: asyncio.AbstractEventLoop, actions: Asked) -> None:
        self.board = board
        self.port = port
        self.unix = unix
        self.actions = actions
        self.url = f"http://127.0.0.1:{port}"
        self._loop = loop

    def put(self, *values: HostStatus | FleetStatus) -> None:
        """Puts them on the board, where the listener's loop is."""

        def put() -> None:
            for value in values:
                if isinstance(value, HostStatus):
                    self.board.put_host(value)
                else:
                    self.board.put_fleet(value)

        self.call(put)

    def drop(self, name: str) -> None:
        self.call(lambda: self.board.drop_host(HostName(name)))

    def call(self, what: Callable[[], T]) -> T:
        """Runs it in the listener's loop."""

        async def run() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=10)

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        body: object = None,
        token: bytes | None = None,
        headers: dict[str, str] | None = None,
        unix: bool = False,
    ) -> Answer:
        """One request on a connection of its own. `body` is sent as it is, or as JSON."""
        sent = dict(headers or {})
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if body is not None and not isinstance(body, bytes):
            sent.setdefault("content-type", "application/json")
        if token is not None:
            sent["authorization"] = f"Bearer {token.decode()}"
        connection = _OverUnix(self.unix) if unix else http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connections(self) -> int:
        """How many are open by TCP, as the system counts them on the listener's side."""
        return _established(self.port)

    def connect(self) -> socket.socket:
        """A bare connection, to be closed by the caller."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


def _established(port: int) -> int:
    """Connections whose own end is at the port, from Linux' own table."""
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "01" for row in rows)


class _OverUnix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


@contextmanager
def served(
    folder: Path,
    board: Board,
    *,
    access: Access | None = None,
    limits: Limits | None = None,
    now: Callable[[], datetime] = lambda: NOW,
    metrics: Callable[[], bytes] = lambda: b"# TYPE up gauge\nup 1\n",
    port: int = 0,
) -> Iterator[Served]:
    """Serves the board by TCP and by a Unix socket in `folder`."""
    actions = Asked()
    app = Application(board, actions, access or Access(TOKEN), metrics=metrics, now=now, limits=limits)
    loop = asyncio.new_event_loop()
    begun, end = threading.Event(), asyncio.Event()
    running: list[int] = []
    failed: list[BaseException] = []
    unix = folder / "fleet.sock"

    async def serve() -> None:
        try:
            async with serving(app, tcp=f"127.0.0.1:{port}", unix=unix, limits=limits) as listening:
                assert listening.port is not None
                running.append(listening.port)
                begun.set()
                await end.wait()
        except BaseException as error:
            failed.append(error)
        finally:
            begun.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun.wait()
    try:
        if failed:
            raise failed[0]
        yield Served(board, running[0], unix, loop, actions)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(timeout=10)
        loop.close()
    if failed:
        raise failed[0]
