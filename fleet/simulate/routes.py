"""Which paths a server has, and what it says to others (`ollama-api.md` 1.5)."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from fleet.simulate.versions import Behaviour, Capability
from fleet.simulate.wire import Reply

_READ = frozenset({"GET", "HEAD"})
_POST = frozenset({"POST"})
_PATHS: dict[str, tuple[frozenset[str], str]] = {
    "/": (_READ, "root"),
    "/api/version": (_READ, "version"),
    "/api/tags": (_READ, "tags"),
    "/api/ps": (frozenset({"GET"}), "ps"),
    "/api/show": (_POST, "show"),
    "/api/generate": (_POST, "generate"),
    "/api/chat": (_POST, "chat"),
    "/api/embed": (_POST, "embed"),
    "/api/embeddings": (_POST, "embeddings"),
    "/api/pull": (_POST, "pull"),
    "/api/push": (_POST, "push"),
    "/api/create": (_POST, "create"),
    "/api/copy": (_POST, "copy"),
    "/api/delete": (frozenset({"DELETE"}), "delete"),
    "/v1/models": (frozenset({"GET"}), "v1_models"),
}
_GATED: dict[str, tuple[Capability, frozenset[str], str]] = {
    "/api/status": (Capability.CLOUD_STATUS, frozenset({"GET"}), "status"),
    "/api/me": (Capability.CLOUD_ACCOUNT, _POST, "me"),
    "/api/experimental/model-recommendations": (Capability.RECOMMENDATIONS, frozenset({"GET"}), "recommendations"),
}
_BLOBS = "/api/blobs/"
_NOT_FOUND = Reply(404, b"404 page not found", "text/plain")


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is for: the kind of call, and the digest in a blob's path."""

    kind: str
    argument: str = ""


def find_route(method: str, path: str, behaviour: Behaviour) -> Route | Reply:
    """The route of a request, or the answer where there is none."""
    clean = posixpath.normpath(path) if path.startswith("/") else path
    if "//" in path or "/./" in f"{path}/" or "/../" in f"{path}/":
        return _moved(method, 301, "Moved Permanently", "/" + clean.lstrip("/"))
    found = _found(path, behaviour)
    if found is None:
        return _redirected(method, path, behaviour) or _NOT_FOUND
    methods, kind, argument = found
    if method in methods:
        if kind == "blob":
            kind = "blob_head" if method == "HEAD" else "blob_post"
        return Route(kind, argument)
    if not behaviour.has(Capability.METHODS_TOLD_APART):
        return _NOT_FOUND
    return Reply(405, b"405 method not allowed", "text/plain", {"Allow": ", ".join(sorted(methods))})


def _found(path: str, behaviour: Behaviour) -> tuple[frozenset[str], str, str] | None:
    if path in _PATHS:
        return *_PATHS[path], ""
    if path in _GATED and behaviour.has(_GATED[path][0]):
        return *_GATED[path][1:], ""
    digest = path.removeprefix(_BLOBS)
    if path.startswith(_BLOBS) and digest and "/" not in digest:
        return frozenset({"HEAD", "POST"}), "blob", digest
    return None


def _redirected(method: str, path: str, behaviour: Behaviour) -> Reply | None:
    """A slash too many is a redirect, permanent for GET."""
    target = path.rstrip("/") if path.endswith("/") else ""
    found = _found(target, behaviour) if target else None
    if found is None or method not in found[0]:
        return None
    return _moved(method, *((301, "Moved Permanently") if method == "GET" else (307, "Temporary Redirect")), target)


def _moved(method: str, status: int, name: str, target: str) -> Reply:
    body = f'<a href="{target}">{name}</a>.\n\n'.encode() if method in _READ else b""
    return Reply(status, body, "text/html; charset=utf-8" if method in _READ else None, {"Location": target})
