"""What a daemon's socket answers, with answers that a test gives: for what the command does with them."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = Callable[[str, str, Any], tuple[int, Any]]
"""Of method, path and body: status and document."""


@contextmanager
def answering(path: Path, answer: Answer) -> Iterator[list[tuple[str, str, Any]]]:
    """Listens at `path` for as long as the block lasts; gives what was asked."""
    asked: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = json.loads(raw) if raw else None
            if body is not None and self.headers["Content-Type"] != "application/json":
                raise ValueError(self.headers["Content-Type"])
            asked.append((self.command, self.path, body))
            status, document = answer(self.command, self.path, body)
            told = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = _answer  # noqa: N815  # names of the library's choice

        def address_string(self) -> str:
            return "socket"

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
            path.unlink()
