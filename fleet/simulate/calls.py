"""Which kind of request it is, and for which model: what faults are aimed by and counters count by.

Read from the request alone, before the host sees it, so that a request that a fault swallows is counted too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Receive, Scope

from fleet.names import InvalidName, ModelName

_KINDS = {
    ("GET", "/"): "root",
    ("HEAD", "/"): "root",
    ("GET", "/api/version"): "version",
    ("HEAD", "/api/version"): "version",
    ("GET", "/api/tags"): "tags",
    ("HEAD", "/api/tags"): "tags",
    ("GET", "/api/ps"): "ps",
    ("POST", "/api/show"): "show",
    ("POST", "/api/generate"): "generate",
    ("POST", "/api/chat"): "chat",
    ("POST", "/api/embed"): "embed",
    ("POST", "/api/embeddings"): "embed",
    ("POST", "/api/pull"): "pull",
    ("POST", "/api/push"): "push",
    ("POST", "/api/create"): "create",
    ("POST", "/api/copy"): "copy",
    ("DELETE", "/api/delete"): "delete",
}
HOST_KINDS = frozenset({*_KINDS.values(), "blob_head", "blob_post", "load", "unload", "other"})
CHANGING = frozenset({"pull", "push", "create", "copy", "delete", "blob_post", "load", "unload"})
"""Requests that change what a host holds on disk or in memory."""
STREAMS = frozenset({"pull", "push", "create"})
"""Requests whose answers tell progress line by line, unless they say `stream: false`."""

REGISTRY_KINDS = frozenset({"manifest", "manifest_put", "blob_head", "blob", "content", "upload", "token", "other"})

_READ_LIMIT = 16 << 20
_UPLOADED = re.compile(r"@(sha256[:-][0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its kind, the model it names (display form where it is a name), and how it is to be answered.

    `digest` is that of a blob that is asked for or sent.
    """

    kind: str
    model: str | None = None
    stream: bool = False
    body: Mapping[str, Any] | None = None
    digest: str | None = None

    @property
    def uploads(self) -> list[str]:
        """The digests of uploaded files that a create makes its model from, in either dialect."""
        body = self.body or {}
        maps = [body.get(key) for key in ("files", "adapters", "draft_files")]
        named = [digest for files in maps if isinstance(files, dict) for digest in files.values()]
        text = body.get("modelfile")
        named += _UPLOADED.findall(text) if isinstance(text, str) else []
        return [digest for digest in named if isinstance(digest, str)]


def host_call(scope: Scope, body: bytes) -> Call:
    """What a request to a host asks for; `body` is the whole body, empty for blobs."""
    method, path = scope["method"], scope["path"]
    if path.startswith("/api/blobs/"):
        kind = {"HEAD": "blob_head", "POST": "blob_post"}.get(method, "other")
        return Call(kind, digest=path.removeprefix("/api/blobs/").replace("-", ":", 1))
    kind = _KINDS.get((method, path), "other")
    try:
        read = json.loads(body) if body else {}
    except ValueError:
        read = {}
    if not isinstance(read, dict):
        return Call(kind)
    named = read.get("destination") if kind == "copy" else read.get("model") or read.get("name")
    model = displayed(named) if isinstance(named, str) and named else None
    return Call(_memory_kind(kind, read), model, kind in STREAMS and read.get("stream") is not False, read)


def _memory_kind(kind: str, body: Mapping[str, Any]) -> str:
    """`load` and `unload` are generate, chat and embed without anything to answer (`ollama-api.md` 12.1, 12.2)."""
    asked = {"generate": ("prompt", "images"), "chat": ("messages",), "embed": ("input", "prompt")}.get(kind)
    if asked is None or any(body.get(key) for key in asked):
        return kind
    return "unload" if body.get("keep_alive") in (0, "0", "0s", "0m") and kind != "embed" else "load"


def registry_call(scope: Scope, _body: bytes) -> Call:
    """What a request to the registry asks for. Redirected blobs are `content` and name no model."""
    method, parts = scope["method"], scope["path"].strip("/").split("/")
    if parts[0] in {"token", "content"}:
        return Call(parts[0])
    if len(parts) < 5 or parts[0] != "v2":
        return Call("other")
    model = displayed(f"{parts[1]}/{parts[2]}" + (f":{parts[4]}" if parts[3] == "manifests" else ""))
    if parts[3] == "manifests":
        return Call("manifest_put" if method == "PUT" else "manifest", model)
    if parts[4] == "uploads":
        return Call("upload", model)
    return Call("blob_head" if method == "HEAD" else "blob", model)


def displayed(text: str) -> str:
    """The short form with its tag where the text is a name, else the text."""
    try:
        return str(ModelName.parse(text))
    except InvalidName:
        return text


async def read_ahead(scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """The body of a JSON request, and a `receive` that gives it once more to the application.

    Blobs and other large bodies are not touched: they are read by whom they are meant for.
    """
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
    small = length.isdigit() and int(length) <= _READ_LIMIT
    if scope["path"].startswith(("/api/blobs/", "/v2/", "/content/")) or not (small or chunked):
        return b"", receive
    messages: list[Message] = []
    body = bytearray()
    while len(body) <= _READ_LIMIT:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            break

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return bytes(body), again
