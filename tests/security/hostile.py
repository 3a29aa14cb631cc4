"""Servers that tell back all that they were sent, on ports of loopback, each an origin of its own."""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SIGNED = "Hq7Zt0pWcV5mXy2KdRb9"
"""The signature in the URLs that hostile servers tell of."""
SIGNED_URL = f"https://blobs.example.net/sha256/ab?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={SIGNED}"


@dataclass(frozen=True, slots=True)
class Heard:
    """One request, as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def raw(self) -> bytes:
        head = "".join(f"{name}: {value}\n" for name, value in self.headers)
        return f"{self.method} {self.target}\n{head}\n".encode() + self.body


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Heard], Said]


class Origin(ThreadingHTTPServer):
    """What it heard, and where."""

    daemon_threads = True
    answer: Answer

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.heard: list[Heard] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Origin
    timeout = 5

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        heard = Heard(self.command, self.path, tuple(self.headers.items()), body)
        self.server.heard.append(heard)
        said = self.server.answer(heard)
        self.send_response_only(said.status)
        for name, value in {"Content-Type": said.kind, "Content-Length": str(len(said.body)), **said.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body)

    def log_message(self, format: str, *_args: object) -> None:  # noqa: A002  # the library's name
        """Says nothing."""


@contextmanager
def origin(answer: Answer) -> Iterator[Origin]:
    """Serves for as long as the block lasts."""
    with Origin(answer) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()


def echo(heard: Heard) -> str:
    """Everything that it was sent, as it is, encoded, and in parts."""
    told = [f"{name}: {value}" for name, value in heard.headers]
    values = [value.rpartition(" ")[2] for name, value in heard.headers if name.lower() not in {"host", "user-agent"}]
    forms = [
        form
        for value in values
        for form in (base64.b64encode(value.encode()).decode(), urllib.parse.quote(value, safe=""), value[3:11])
    ]
    return " ; ".join([SIGNED_URL, *told, *forms])


def failing(status: int) -> Answer:
    return lambda heard: Said(status, json.dumps({"error": echo(heard)}).encode())


def page(status: int) -> Answer:
    """As a proxy has it that knows no Ollama."""
    return lambda heard: Said(status, f"<html><p>{echo(heard)}</p></html>".encode(), "text/html")


def moved(to: str) -> Answer:
    return lambda heard: Said(307, echo(heard).encode(), headers={"Location": f"{to}/api/tags?{SIGNED_URL}"})


LISTS: dict[str, dict[str, object]] = {
    "/api/version": {"version": "0.32.15"},
    "/api/tags": {"models": []},
    "/api/ps": {"models": []},
}


def empty_until_changed(heard: Heard) -> Said:
    """A host without models, that talks while it is to get one, and then ends in an error."""
    if heard.target in LISTS:
        return Said(200, json.dumps(LISTS[heard.target]).encode())
    lines: list[dict[str, object]] = [{"status": echo(heard)}, {"status": "pulling manifest"}, {"error": echo(heard)}]
    return Said(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines), "application/x-ndjson")


def nothing(_heard: Heard) -> Said:
    """For whom nobody has a reason to ask."""
    return Said(200, b"{}")
