"""A registry of a few lines that does exactly what a case wants of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Depot:
    """Holds manifests by `namespace/model:tag` and blobs by digest. Contents are served by `127.0.0.1`."""

    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    """Fixed answers by method and path, `GET /v2/…`."""
    realm: str = ""
    """Where a token has to be asked for, if one is wanted."""
    asked: list[str] = field(default_factory=list)
    """Methods and paths of all requests."""
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def offer(self, name: str, *contents: bytes, **more: Any) -> list[str]:
        """Puts a model of these contents into the registry, the last being its config; gives the digests."""
        layers = [self._layer(content) for content in contents]
        body = {"schemaVersion": 2, "mediaType": "m", "config": layers[-1], "layers": layers[:-1], **more}
        self.manifests[name] = json.dumps(body).encode()
        return [layer["digest"] for layer in layers]

    def _layer(self, content: bytes, media_type: str = "application/vnd.ollama.image.license") -> dict[str, Any]:
        self.blobs[digest(content)] = content
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        self.asked.append(f"{method} {path}")
        self.headers.append(headers)
        status, more, body = self._answer(method, path, headers)
        shown = [(name.encode(), value.encode()) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": shown})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        if f"{method} {path}" in self.replies:
            return self.replies[f"{method} {path}"]
        if path == "/token":
            return 200, {}, b'{"token": "open sesame"}'
        if self.realm and headers.get("authorization") != "Bearer open sesame" and path.startswith("/v2/"):
            return 401, {"www-authenticate": f'Bearer realm="{self.realm}",service="depot",scope="pull"'}, b""
        place, _, name = path.rpartition("/")
        if place.endswith("/manifests"):
            found = self.manifests.get(f"{place.removeprefix('/v2/').removesuffix('/manifests')}:{name}")
            return (404, {}, b"") if found is None else (200, {}, found)
        content = self.blobs.get(name)
        if content is None:
            return 404, {}, b""
        if place.startswith("/v2/") and method == "GET":
            return 307, {"location": f"http://127.0.0.1:5000/content/{name}"}, b""
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        return 200, {"content-length": str(len(content) - start)}, content[start:]
