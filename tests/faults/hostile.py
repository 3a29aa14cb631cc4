"""A host whose every word is meant for the terminal, the log or the memory of who reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EVIL = "\x1b]0;owned\x07\x1b[2J\r\n\t\x00\x08\x7f\x9b31m\u202e\u2066\u2028\ufeff\ud800"
DIGEST = "b" * 64
_DETAILS = {"family": EVIL, "families": [EVIL], "parameter_size": EVIL, "quantization_level": EVIL, "format": EVIL}
_MODELS = [
    {"name": name, "model": name, "digest": DIGEST, "size": 5, "modified_at": EVIL, "details": _DETAILS}
    for name in (f"evil{EVIL}:1", EVIL, f"good:1{EVIL}", "old:1", "fine:1", "Fine:1")
]
_REPLIES: dict[str, Any] = {
    "/api/version": {"version": f"0.9.6{EVIL}"},
    "/api/tags": {"models": _MODELS},
    "/api/ps": {"models": [{**model, "expires_at": EVIL, "size_vram": 5} for model in _MODELS]},
    "/api/show": {
        "modelfile": f"FROM {EVIL}\nSYSTEM {EVIL}",
        "parameters": EVIL,
        "template": EVIL,
        "system": EVIL,
        "license": EVIL,
        "details": _DETAILS,
        "model_info": {"general.architecture": EVIL, EVIL: EVIL},
        "capabilities": [EVIL],
    },
}
_STREAMS = frozenset({"/api/pull", "/api/create", "/api/push"})


class Hostile(ThreadingHTTPServer):
    """One at work; `changes` are the names in requests that change something."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.changes: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answering(BaseHTTPRequestHandler):
    server: Hostile

    def _answer(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path in _REPLIES:
            status, said = 200, json.dumps(_REPLIES[self.path])
        else:
            self.server.changes.append(str(asked.get("model")))
            progress = {"status": f"pulling {EVIL}", "digest": f"sha256:{EVIL}", "total": 9, "completed": 5}
            lines = [progress, {"status": EVIL}, {"error": f"no {EVIL} such https://u:p@x/y?sig=hunter2"}]
            streamed = self.path in _STREAMS
            status = 200 if streamed else 500
            said = "".join(f"{json.dumps(line)}\n" for line in (lines if streamed else lines[-1:]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    do_GET = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815  # the standard library's words

    def log_message(self, *_: object) -> None:
        """To nobody."""


@contextmanager
def hostile() -> Iterator[Hostile]:
    """Serves until the block ends."""
    with Hostile() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
