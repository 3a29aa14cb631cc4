"""Asks a running daemon of the same fleet by its Unix socket, which its owner alone can open: HTTP with bounds."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

from fleet.cli.streams import talk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.settings import Settings

_PATIENCE = 10.0
"""Seconds for a whole answer."""
_LARGEST = 96 << 20
"""Bytes of an answer: the status of a thousand hosts has about twenty million."""


def ask_daemon(
    settings: Settings,
    name: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    patience: float = _PATIENCE,
) -> tuple[int, Any] | None:
    """Status and JSON document of the answer; nothing where no daemon listens, or, with a word to stderr, where it
    gives no answer that can be read within `patience` seconds. Raises `StateError` for a folder that is not private.
    """
    from fleet.state.folder import check_private, socket_path

    where = socket_path(settings.state_dir, name)
    raw = b"" if body is None else json.dumps(dict(body)).encode()
    kind = "" if body is None else "Content-Type: application/json\r\n"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}Content-Length: {len(raw)}\r\n\r\n"
    )
    until = time.monotonic() + patience
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        try:
            check_private(where.parent)
            asked.settimeout(patience)
            asked.connect(str(where))
        except OSError:
            return None
        try:
            asked.sendall(head.encode() + raw)
            return _read(_received(asked, until))
        except (OSError, ValueError, RecursionError) as error:
            why = f"within {patience:.0f}s" if isinstance(error, TimeoutError) else f"that can be read ({error})"
            talk(f"note: the daemon gave no answer {why}: {where}\n")
            return None


def _received(asked: socket.socket, until: float) -> bytes:
    """All until the other end closes. Raises `OSError` and `ValueError`."""
    parts: list[bytes] = []
    size = 0
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        asked.settimeout(left)
        part = asked.recv(1 << 16)
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > _LARGEST:
            raise ValueError("it is too long")
        parts.append(part)


def _read(raw: bytes) -> tuple[int, Any]:
    """Raises `ValueError` for what is no whole answer with a JSON document."""
    from http.client import HTTPException, HTTPResponse

    try:
        response = HTTPResponse(_Heard(raw))  # type: ignore[arg-type]  # of a socket, `makefile` alone is asked for
        response.begin()
        # Shorter than announced, it raises as well.
        return response.status, json.loads(response.read())
    except HTTPException as error:
        raise ValueError(type(error).__name__) from error


class _Heard:
    """An answer that was received already, where a socket is expected."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _: str) -> Any:
        from io import BytesIO

        return BytesIO(self._raw)
