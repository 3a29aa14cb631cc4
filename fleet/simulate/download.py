"""Downloads of blobs: one at a time per digest however many wait for it, continued where they broke off (`ollama-api.md` 10.4 to 10.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from fleet.simulate.blobs import Intake, Partial
from fleet.simulate.events import Line, progress
from fleet.simulate.hosttime import Time
from fleet.simulate.remote import Registry, Remote, RemoteError
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability

TICK = 0.06
"""Seconds between two lines of progress."""
_TRIES = 6
_REDIRECTS = 10
_DIRECT_URL_SECONDS = 30.0


class BrokenError(Exception):
    """A transfer broke off. `keeps` tells whether what came is kept, as Go's copy does for a cut body."""

    def __init__(self, text: str, *, keeps: bool) -> None:
        super().__init__(text)
        self.keeps = keeps


class StalledError(Exception):
    """Nothing came for a while: the part is asked for again, as often as it takes."""


@dataclass(slots=True)
class _Download:
    """One blob on its way. It ends when nobody waits for it any more."""

    partial: Partial
    task: asyncio.Task[None] | None = None
    waiting: int = 0
    actual: str = ""
    prepared: asyncio.Event = field(default_factory=asyncio.Event)


class Downloads:
    """All downloads of a host. `rate` limits each in bytes per second."""

    def __init__(self, store: Store, remote: Remote, time: Time, *, rate: float | None) -> None:
        self._store = store
        self._remote = remote
        self._time = time
        self._rate = rate
        self._running: dict[str, _Download] = {}
        self.actual: dict[str, str] = {}
        """What downloaded blobs really hash to, until they are verified."""

    def cancel_all(self) -> None:
        for download in self._running.values():
            if download.task:
                download.task.cancel()
        self._running.clear()

    async def fetch(self, registry: Registry, repository: str, digest: str, *, insecure: bool) -> AsyncIterator[Line]:
        """Brings a blob, telling its progress. Raises `RemoteError`, `OSError`, `InvalidDigestError`."""
        self._store.blobs.path(digest)
        content = self._store.blobs.find(digest)
        short = digest[7:19]
        if content is not None:
            yield progress(f"pulling {short}", digest=digest, total=content.size, completed=content.size)
            return
        stand_in = self._store.elsewhere.contents.get(digest)
        if stand_in is not None:
            yield progress(f"pulling {short}", digest=digest, total=stand_in.size, completed=0)
            self._store.blobs.add(stand_in, digest)
            yield progress(f"pulling {short}", digest=digest, total=stand_in.size, completed=stand_in.size)
            return
        url = registry.url(f"/v2/{repository}/blobs/{digest}")
        download = self._running.get(digest)
        if download is None:
            download = _Download(self._store.blobs.partial(digest))
            if download.partial.total is None:
                response = await registry.request("HEAD", url)
                download.partial.total = int(response.headers.get("content-length") or 0)
            # Another may have begun while the size was asked for.
            download = self._running.setdefault(digest, download)
        if download.task is None:
            download.task = asyncio.create_task(self._run(download, registry.host, url, digest, insecure=insecure))
        download.waiting += 1
        try:
            while not download.task.done():
                tick = asyncio.ensure_future(self._time.sleep(TICK))
                try:
                    await asyncio.wait({download.task, tick}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    tick.cancel()
                if not download.task.done():
                    yield self._told(download, digest)
            if download.task.cancelled():
                raise RemoteError("context canceled")
            download.task.result()
            yield self._told(download, digest)
        finally:
            download.waiting -= 1
            if not download.waiting:
                download.task.cancel()
                self._running.pop(digest, None)

    @staticmethod
    def _told(download: _Download, digest: str) -> Line:
        total = download.partial.total or 0
        return progress(
            f"pulling {digest[7:19]}", digest=digest, total=total, completed=min(download.partial.size, total)
        )

    async def _run(self, download: _Download, host: str, url: str, digest: str, *, insecure: bool) -> None:
        async with self._remote.connect(host, insecure=insecure) as registry:
            direct = await self._direct_url(registry, url)
            failed = 0
            while download.partial.size < (download.partial.total or 0):
                began = download.partial.size
                try:
                    await self._piece(registry, direct, download.partial, digest)
                except StalledError:
                    continue
                except BrokenError as broken:
                    if not broken.keeps:
                        download.partial.rewind(began)
                    failed += 1
                    if failed >= _TRIES:
                        raise RemoteError(f"max retries exceeded: {broken}") from None
                    await self._time.sleep(2.0 ** (failed - 1))
        intake = Intake()
        for piece in download.partial.finished():
            intake.add(piece)
            await asyncio.sleep(0)
        self._store.blobs.discard_partial(digest)
        self._store.blobs.add(intake.content(), digest)
        self.actual[digest] = intake.digest

    async def _direct_url(self, registry: Registry, url: str) -> str:
        """Where the registry redirects to: another host name, or the server does not go there (`ollama-api.md` 10.8)."""
        waited, tries = 0.0, 0
        while True:
            try:
                return await self._redirected(registry, url)
            except _RetryableError as fault:
                tries += 1
                pause = min(tries * tries * 0.01, 10.0)
                waited += pause
                if waited > _DIRECT_URL_SECONDS:
                    raise RemoteError("context deadline exceeded") from fault
                await self._time.sleep(pause)

    async def _redirected(self, registry: Registry, url: str) -> str:
        own = {urlsplit(url).hostname}
        at = url
        for _ in range(_REDIRECTS):
            try:
                async with registry.stream("GET", at) as response:
                    status, location = response.status_code, response.headers.get("location", "")
            except RemoteError as fault:
                raise _RetryableError(str(fault)) from None
            if status == httpx2.codes.UNAUTHORIZED or status >= httpx2.codes.BAD_REQUEST:
                # Asked again with a token, or told what is wrong.
                try:
                    await registry.request("HEAD", at)
                except RemoteError as fault:
                    raise _RetryableError(str(fault)) from None
                if status == httpx2.codes.UNAUTHORIZED:
                    continue
                raise _RetryableError(f"{status}")
            redirect = status in {301, 302, 303, 307, 308}
            target = registry.resolved(at, location) if location else ""
            if redirect and target and urlsplit(target).hostname in own:
                at = target
                continue
            if status not in {307, 200}:
                raise RemoteError(f"unexpected status code {status}")
            if not target:
                raise RemoteError("http: no Location header in response")
            return target
        raise RemoteError("maximum redirects exceeded (10) for directURL")

    async def _piece(self, registry: Registry, url: str, partial: Partial, digest: str) -> None:
        """Takes what one connection gives of the rest. Raises `BrokenError`, `StalledError`, `NoSpaceError`."""
        total = partial.total or 0
        headers = {"Range": f"bytes={partial.size}-{total - 1}"}
        five = self._store.behaviour.has(Capability.STALL_FIVE_SECONDS)
        patience = 5.0 if five else 30.0
        try:
            async with registry.stream("GET", url, headers=headers) as response:
                pieces = response.aiter_raw()
                while partial.size < total:
                    try:
                        async with asyncio.timeout(patience):
                            piece = await anext(pieces, b"")
                    except TimeoutError:
                        raise StalledError from None
                    if not piece:
                        raise BrokenError("EOF", keeps=False)
                    await self._take(partial, piece[: total - partial.size], digest)
        except RemoteError as fault:
            raise BrokenError(str(fault), keeps=False) from None
        except httpx2.RemoteProtocolError:
            raise BrokenError("unexpected EOF", keeps=True) from None
        except httpx2.TransportError:
            raise BrokenError("read tcp: connection reset by peer", keeps=False) from None

    async def _take(self, partial: Partial, piece: bytes, digest: str) -> None:
        self._store.blobs.make_room(len(piece), f"{digest}-partial")
        partial.add(piece)
        if self._rate:
            await self._time.sleep(len(piece) / self._rate)


class _RetryableError(Exception):
    """The registry could not be asked for the blob's place; it is asked again for half a minute."""
