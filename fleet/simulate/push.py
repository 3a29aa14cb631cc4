"""Push: layers one after the other, then the manifest (`ollama-api.md` 10.9)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

import httpx2

from fleet.simulate.blobs import CHUNK, Content
from fleet.simulate.download import TICK
from fleet.simulate.events import Event, Failure, Line, progress
from fleet.simulate.hosttime import Time
from fleet.simulate.image import MANIFEST_TYPE, TENSOR, Layer
from fleet.simulate.modelname import Name
from fleet.simulate.remote import NotThereError, Registry, Remote, RemoteError
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability

_TRIES = 6
_PARTS = 16
_SMALLEST, _LARGEST = 100 * 10**6, 1000 * 10**6


_Result = TypeVar("_Result")


class _Sent:
    """How many bytes of a layer are at the registry."""

    def __init__(self) -> None:
        self.bytes = 0


class Pusher:
    """Pushes for one host."""

    def __init__(self, store: Store, remote: Remote, time: Time) -> None:
        self._store = store
        self._remote = remote
        self._time = time

    async def push(self, name: Name, *, insecure: bool) -> AsyncIterator[Event]:
        """The stream of events; it ends at the first failure."""
        yield progress("retrieving manifest")
        try:
            if not name.valid:
                whole = self._store.behaviour.has(Capability.PUSH_NAMES_INVALID)
                raise FileNotFoundError(f"unqualified name: {name.full}" if whole else "file does not exist")
            stored, manifest = self._store.get(name)
        except (OSError, ValueError) as fault:
            yield progress("couldn't retrieve manifest")
            yield Failure(str(fault))
            return
        try:
            async with self._remote.connect(name.host, insecure=insecure) as registry:
                for layer in manifest.all_layers:
                    async for line in self._layer(registry, name, layer):
                        yield line
                yield progress("pushing manifest")
                url = registry.url(f"/v2/{name.repository}/manifests/{name.tag}")
                headers = {"Content-Type": MANIFEST_TYPE}
                tensors = any(layer.media_type == TENSOR for layer in manifest.layers or ())
                body = stored.raw if tensors else manifest.encoded(newline=False)
                await registry.request("PUT", url, headers=headers, content=body)
                yield progress("success")
        except (RemoteError, OSError, ValueError) as fault:
            yield Failure(str(fault))

    async def _layer(self, registry: Registry, name: Name, layer: Layer) -> AsyncIterator[Line]:
        def told(completed: int) -> Line:
            status = f"pushing {layer.digest[7:19]}"
            return progress(status, digest=layer.digest, total=layer.size, completed=completed)

        try:
            await registry.request("HEAD", registry.url(f"/v2/{name.repository}/blobs/{layer.digest}"))
        except NotThereError:
            sent = _Sent()
            task = asyncio.create_task(self._upload(registry, name, layer, sent))
            try:
                while not task.done():
                    tick = asyncio.ensure_future(self._time.sleep(TICK))
                    try:
                        await asyncio.wait({task, tick}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        tick.cancel()
                    if not task.done():
                        yield told(sent.bytes)
                task.result()
            finally:
                task.cancel()
        yield told(layer.size)

    async def _upload(self, registry: Registry, name: Name, layer: Layer, sent: _Sent) -> None:
        content = self._store.blobs.open(layer.digest)
        url = registry.url(f"/v2/{name.repository}/blobs/uploads/")
        if layer.origin:
            query = urlencode({"from": Name.parse(layer.origin).repository, "mount": layer.digest})
            url = f"{url}?{query}"
        response = await registry.request("POST", url)
        if response.status_code == httpx2.codes.CREATED:
            sent.bytes = content.size
            return
        url = _location(registry, url, response)
        sums = hashlib.md5(usedforsecurity=False)
        size = min(max(content.size // _PARTS, _SMALLEST), _LARGEST)
        parts = range(0, content.size, size)
        for start in parts:
            stop = min(start + size, content.size)
            url, part_sum = await self._again(partial(self._part, registry, url, content, start, stop, sent))
            sums.update(part_sum)
        mark = "&" if "?" in url else "?"
        final = f"{url}{mark}{urlencode({'digest': layer.digest, 'etag': f'{sums.hexdigest()}-{len(parts)}'})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": "0"}
        await self._again(partial(registry.request, "PUT", final, headers=headers))

    async def _again(self, step: Callable[[], Awaitable[_Result]]) -> _Result:
        """Takes a step, up to six times if it fails. Raises `RemoteError`."""
        failed = 0
        while True:
            try:
                return await step()
            except RemoteError as fault:
                failed += 1
                if failed >= _TRIES:
                    raise RemoteError(f"max retries exceeded: {fault}") from None
                await self._time.sleep(2.0 ** (failed - 1))

    async def _part(
        self, registry: Registry, url: str, content: Content, start: int, stop: int, sent: _Sent
    ) -> tuple[str, bytes]:
        """Sends one part, directly or where the registry redirects it. Gives the next URL and the part's MD5."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(stop - start),
            "Content-Range": f"{start}-{stop - 1}",
            "X-Redirect-Uploads": "1",
        }
        part_sum = hashlib.md5(usedforsecurity=False)
        before = sent.bytes

        async def pieces() -> AsyncIterator[bytes]:
            sent.bytes = before
            for place in range(start, stop, CHUNK):
                piece = content.read(place, min(place + CHUNK, stop))
                part_sum.update(piece)
                sent.bytes += len(piece)
                yield piece

        async with registry.stream("PATCH", url, headers=headers, content=pieces()) as response:
            body = await response.aread()
        if response.status_code == httpx2.codes.TEMPORARY_REDIRECT:
            following = _location(registry, url, response)
            part_sum = hashlib.md5(usedforsecurity=False)
            plain = {key: headers[key] for key in ("Content-Type", "Content-Length")}
            async with registry.stream("PUT", following, headers=plain, content=pieces()) as response:
                body = await response.aread()
        if response.status_code >= httpx2.codes.BAD_REQUEST:
            sent.bytes = before
            status = f"{response.status_code} {response.reason_phrase}"
            raise RemoteError(f"http status {status}: {body.decode('utf-8', 'replace')}")
        return _location(registry, url, response), part_sum.digest()


def _location(registry: Registry, url: str, response: httpx2.Response) -> str:
    """Where the upload goes on: here, if the registry does not say."""
    place = response.headers.get("docker-upload-location") or response.headers.get("location") or url
    return registry.resolved(url, place)
