"""The registry protocol over HTTP, as Ollama's client uses it to pull and push.

Ollama (server/download.go) reads a blob's size by HEAD, then follows a redirect of GET only if it leads to another
host name; so `localhost` is redirected to `127.0.0.1` and every other name to `localhost` or `127.0.0.1`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fleet.simulate.registry import MANIFEST_TYPE, Registry, UnknownInRegistryError
from fleet.simulate.registry_content import CHUNK, Blob
from fleet.simulate.registry_pace import Pace
from fleet.simulate.registry_uploads import DigestInvalidError, RangeNotSatisfiableError, Uploads

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_BYTES = re.compile(r"bytes=(\d+)-(\d*)")
_HASHED_AT_ONCE = 16 << 20
_TOKEN = "anonymous"  # noqa: S105 - everybody gets it
"""The one token that there is: it shows nothing but that somebody asked."""
DIRECT = "fleet.direct"
"""Set in the scope of a blob request that is to be answered without a redirect."""


class RegistryServer:
    """One face of the registry.

    `public` is the name of registry.ollama.ai or its like, if this is its face: namespace `library` takes no pushes,
    manifests come as text without a length and cannot be asked for by digest. A `mirror` takes no pushes at all.
    `name` is what it is called in models' names, where that is not the address at which it is asked. With `token`,
    manifests and blobs are served to who shows one; `realm` is where it sends for it, itself if left out.
    """

    def __init__(
        self,
        registry: Registry,
        pace: Pace,
        *,
        public: str | None = None,
        mirror: bool = False,
        redirect: bool = True,
        name: str | None = None,
        token: bool = False,
        realm: str | None = None,
    ) -> None:
        self._registry = registry
        self._pace = pace
        self._public = public
        self._mirror = mirror
        self._redirect = redirect
        self._name = name or public
        self._wants_token = token
        self._realm = realm
        self.uploads = Uploads()

    def application(self) -> Starlette:
        base = "/v2/{namespace}/{model}"
        return Starlette(
            routes=[
                Route("/v2/", self._root),
                Route("/token", self._token),
                Route(base + "/manifests/{reference}", self._guarded(self._get_manifest)),
                Route(base + "/manifests/{reference}", self._writing(self._put_manifest), methods=["PUT"]),
                Route(base + "/blobs/uploads/", self._writing(self._begin_upload), methods=["POST"]),
                Route(base + "/blobs/uploads/{upload}", self._writing(self._patch_upload), methods=["PATCH"]),
                Route(base + "/blobs/uploads/{upload}", self._writing(self._finish_upload), methods=["PUT"]),
                Route(base + "/blobs/{digest}", self._guarded(self._get_blob)),
                Route("/content/{digest}", self._content),
            ]
        )

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            await self._pace.before_reply()
            known = self._registry.repositories.get(_repository(request))
            private = known is not None and known.private
            if private or (self._wants_token and request.headers.get("authorization") != f"Bearer {_TOKEN}"):
                return self._unauthorized(request, "pull")
            try:
                return await handler(request)
            except UnknownInRegistryError as fault:
                code = "BLOB_UNKNOWN" if "/blobs/" in request.url.path else "MANIFEST_UNKNOWN"
                return refusal(404, code, str(fault))

        return guarded

    def _writing(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        guarded = self._guarded(handler)

        async def writing(request: Request) -> Response:
            if self._mirror:
                return refusal(405, "UNSUPPORTED", "this registry is a mirror and takes no pushes")
            if self._public and request.path_params["namespace"] == "library":
                return self._unauthorized(request, "pull,push")
            try:
                return await guarded(request)
            except ClientDisconnect:
                return Response(status_code=499)

        return writing

    async def _root(self, request: Request) -> Response:
        return JSONResponse({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def _token(self, request: Request) -> Response:
        """A token for whoever asks; private repositories stay closed to it."""
        return JSONResponse({"token": _TOKEN})

    async def _get_manifest(self, request: Request) -> Response:
        reference = request.path_params["reference"]
        if self._public and reference.startswith("sha256:"):
            raise UnknownInRegistryError(f"manifest unknown: {reference}")
        digest, body = await self._registry.manifest(_repository(request), reference)
        headers = {"Docker-Content-Digest": f"sha256:{digest}", "Ollama-Content-Digest": digest}
        if self._public:
            return StreamingResponse(_once(body), media_type="text/plain", headers=headers)
        return Response(body, media_type=MANIFEST_TYPE, headers=headers)

    async def _put_manifest(self, request: Request) -> Response:
        repository = _repository(request)
        try:
            digest = self._registry.store_manifest(repository, request.path_params["reference"], await request.body())
        except UnknownInRegistryError as fault:
            return refusal(404, "MANIFEST_BLOB_UNKNOWN", str(fault))
        except ValueError as fault:
            return refusal(400, "MANIFEST_INVALID", str(fault))
        headers = {
            "Location": _absolute(request, f"/v2/{repository}/manifests/sha256:{digest}"),
            "Docker-Content-Digest": f"sha256:{digest}",
        }
        return Response(status_code=201, headers=headers)

    async def _get_blob(self, request: Request) -> Response:
        repository = _repository(request)
        match = _DIGEST.fullmatch(request.path_params["digest"])
        if match is None:
            return refusal(400, "DIGEST_INVALID", "provided digest did not match the form sha256:<64 hex digits>")
        blob = self._registry.blob(repository, match[1])
        if request.method == "HEAD":
            return Response(headers=_blob_headers(blob, match[1], blob.size))
        if self._redirect and DIRECT not in request.scope:
            return Response(status_code=307, headers={"Location": _elsewhere(request, f"/content/{match[0]}")})
        return self._send(request, blob, match[1])

    async def _content(self, request: Request) -> Response:
        match = _DIGEST.fullmatch(request.path_params["digest"])
        blob = self._registry.blobs.get(match[1]) if match else None
        if match is None or blob is None:
            return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        await self._pace.before_reply()
        return self._send(request, blob, match[1])

    def _send(self, request: Request, blob: Blob, digest: str) -> Response:
        start, stop, status = 0, blob.size, 200
        match = _BYTES.fullmatch(request.headers.get("range", ""))
        if match is not None:
            start, stop = int(match[1]), min(int(match[2]) + 1 if match[2] else blob.size, blob.size)
            status = 206
            if start >= stop:
                return Response(status_code=416, headers={"Content-Range": f"bytes */{blob.size}"})
        headers = _blob_headers(blob, digest, stop - start)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return StreamingResponse(self._flow(blob, start, stop), status_code=status, headers=headers)

    async def _flow(self, blob: Blob, start: int, stop: int) -> AsyncIterator[bytes]:
        own, size = self._pace.request(), self._pace.piece(CHUNK)
        for position in range(start, stop, size):
            piece = blob.read(position, min(position + size, stop))
            await self._pace.passed(own, len(piece))
            yield piece
            await asyncio.sleep(0)  # other requests are answered in between

    async def _begin_upload(self, request: Request) -> Response:
        repository, query = _repository(request), request.query_params
        match = _DIGEST.fullmatch(query.get("mount", "") or query.get("digest", ""))
        if match is not None and self._registry.mount(repository, match[1]):
            return self._created(request, match[1])
        identity = self.uploads.begin(repository)
        if "digest" in query and request.headers.get("content-length", "0") != "0":
            return await self._close(request, identity)
        return self._accepted(request, identity, 0)

    async def _patch_upload(self, request: Request) -> Response:
        identity = request.path_params["upload"]
        upload = self.uploads.get(_repository(request), identity)
        if upload is None:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        try:
            await upload.take(request.stream(), request.headers.get("content-range"), self._pace)
        except RangeNotSatisfiableError as fault:
            return refusal(416, "BLOB_UPLOAD_INVALID", str(fault))
        return self._accepted(request, identity, upload.blob.size)

    async def _finish_upload(self, request: Request) -> Response:
        return await self._close(request, request.path_params["upload"])

    async def _close(self, request: Request, identity: str) -> Response:
        """The last request of an upload: what it carries is taken, then all of it is held against `digest`."""
        upload = self.uploads.get(_repository(request), identity)
        match = _DIGEST.fullmatch(request.query_params.get("digest", ""))
        if upload is None:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if match is None:
            return refusal(400, "DIGEST_INVALID", "provided digest did not match the form sha256:<64 hex digits>")
        try:
            await upload.take(request.stream(), request.headers.get("content-range"), self._pace)
            # A thread would let virtual time run away, so only what takes long is given to one.
            large = upload.blob.size > _HASHED_AT_ONCE
            blob = await asyncio.to_thread(upload.finish, match[1]) if large else upload.finish(match[1])
        except RangeNotSatisfiableError as fault:
            return refusal(416, "BLOB_UPLOAD_INVALID", str(fault))
        except DigestInvalidError as fault:
            self.uploads.close(identity)
            return refusal(400, "DIGEST_INVALID", str(fault))
        self.uploads.close(identity)
        self._registry.store_blob(upload.repository, match[1], blob)
        return self._created(request, match[1])

    def _unauthorized(self, request: Request, actions: str) -> Response:
        """The challenge that sends Ollama to the token endpoint; the realm must be on the same host (≥0.14.3)."""
        realm = self._realm or (f"https://{self._name}/token" if self._name else _absolute(request, "/token"))
        scope = f"repository:{_repository(request)}:{actions}"
        challenge = f'Bearer realm="{realm}",service="{self._name or request.url.netloc}",scope="{scope}"'
        return refusal(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})

    def _accepted(self, request: Request, identity: str, size: int) -> Response:
        place = _absolute(request, f"/v2/{_repository(request)}/blobs/uploads/{identity}")
        headers = {"Location": place, "Docker-Upload-Uuid": identity, "Range": f"0-{max(0, size - 1)}"}
        return Response(status_code=202, headers=headers)

    def _created(self, request: Request, digest: str) -> Response:
        place = _absolute(request, f"/v2/{_repository(request)}/blobs/sha256:{digest}")
        return Response(status_code=201, headers={"Location": place, "Docker-Content-Digest": f"sha256:{digest}"})


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the form of the OCI distribution specification."""
    return JSONResponse({"errors": [{"code": code, "message": message, "detail": {}}]}, status, headers)


def _repository(request: Request) -> str:
    return f"{request.path_params['namespace']}/{request.path_params['model']}"


def _absolute(request: Request, path: str) -> str:
    return f"http://{request.headers.get('host', 'localhost')}{path}"


def _elsewhere(request: Request, path: str) -> str:
    """The same place under another host name, at the port that the request came to."""
    name, port = request.url.hostname, request.scope["server"][1]
    return f"http://{'localhost' if name == '127.0.0.1' else '127.0.0.1'}:{port}{path}"


def _blob_headers(blob: Blob, digest: str, length: int) -> dict[str, str]:
    headers = {
        "Content-Length": str(length),
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": f"sha256:{digest}",
        "Accept-Ranges": "bytes",
    }
    if blob.declared:
        headers["X-Simulated-Content"] = "declared"
    return headers


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
