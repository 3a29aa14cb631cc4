"""Asks registries what their tags stand for: each tag once in a run, for the whole fleet, within limits.

What comes back is a value, whatever a registry does. fleet has no credentials for registries, since Ollama itself takes
none from its clients (`ollama-api.md` 10.8); a token that everybody gets is asked for where a registry wants one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from fleet.codes import Code
from fleet.endpoint import Endpoint, EndpointError
from fleet.foreign import clean
from fleet.names import ModelName
from fleet.registry.image import MOST_BYTES, NoImage, read
from fleet.registry.limits import Limits
from fleet.registry.link import Link, Reply, Transport, shown
from fleet.registry.patience import Patience
from fleet.registry.places import Place, read_challenge, read_place, read_token, realm_at, redirect_at
from fleet.registry.refusal import PRIVATE, REDIRECTS, refusal
from fleet.registry.served import Blobs, Published, Served, Unanswered, Unpublished, trouble

T = TypeVar("T")

ACCEPT = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
"""Ollama's own first, so that a registry which has both serves fleet what it serves servers."""
_MOST_HOPS = 5


class Registries:
    """All registries of one run. Use as `async with`; many questions may be asked at once."""

    def __init__(
        self,
        addresses: Mapping[str, Endpoint],
        *,
        closed: bool = False,
        limits: Limits | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`addresses`: where each registry, by its lower-case name, is asked. `closed`: no other one is.

        `clock` and `pause` (seconds) are for waits between tries; `transport` replaces sockets.
        """
        self._addresses = dict(addresses)
        self._closed = closed
        self._limits = limits or Limits()
        self._link = Link(self._limits, transport)
        self._patience = Patience(self._link, self._limits, clock, pause)
        self._asked: dict[tuple[str, str], asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        await self._link.aclose()

    async def served(self, name: ModelName) -> Served:
        """What the registry of this name serves under it: asked once in a run, whoever wants to know and how often.

        Never raises for what a registry does. `name` is what is really pulled: `Pull.origin` where there is one.
        """
        return await self._once("manifest", name, self._image)

    async def blobs(self, name: ModelName) -> Blobs | Unpublished:
        """Whether servers could pull the model's blobs from where its registry has them; downloads none."""
        return await self._once("blobs", name, self._handed_out)

    async def _once(self, kind: str, name: ModelName, ask: Callable[[ModelName], Coroutine[Any, Any, T]]) -> T:
        # Registries may tell letter cases of a path apart, so the spelling counts here, unlike elsewhere.
        key = (kind, f"{name.registry.lower()}{_path(name)}")
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(ask(name))
        # Another one who waits for it must not lose it when this one leaves.
        found: T = await asyncio.shield(task)
        return found

    async def _image(self, name: ModelName) -> Served:
        async def ask(endpoint: Endpoint) -> Published:
            reply = await self._sound("GET", endpoint, _path(name), name, accept=ACCEPT, most=MOST_BYTES)
            return Published(read(reply.body))

        return await self._answered(name, ask)

    async def _handed_out(self, name: ModelName) -> Blobs | Unpublished:
        found = await self.served(name)
        if isinstance(found, Unpublished):
            return found
        blob = min(found.image.blobs, key=lambda layer: layer.size)
        path = f"/v2/{name.namespace}/{name.model}/blobs/{blob.digest}"

        async def ask(endpoint: Endpoint) -> Blobs:
            head = await self._sound("HEAD", endpoint, path, name, answers=REDIRECTS)
            length = head.header(b"content-length")
            if head.status == 200 and length != str(blob.size):
                told = "nothing" if length is None else f"`{clean(length, limit=40)}`"
                return Blobs(pullable=False, did=f"tells {told} as the size of a blob that has {blob.size}")
            return await self._sent_to(endpoint, path, name)

        return await self._answered(name, ask)

    async def _sent_to(self, endpoint: Endpoint, path: str, name: ModelName) -> Blobs:
        """Where a blob is to be had. Servers go along on the same host name until a redirect leads to another one."""
        own = {endpoint.host, name.registry.lower().partition(":")[0]}
        for _ in range(_MOST_HOPS):
            reply = await self._sound("GET", endpoint, path, name, answers=REDIRECTS, whole=False)
            location = reply.header(b"location")
            target = None if location is None else read_place(location, endpoint.url + path)
            if target is None:
                what = "with the blob itself" if reply.status == 200 else "without a `Location` that can be gone to"
                return Blobs(pullable=False, did=f"answers {reply.status} {what}")
            if reply.status in REDIRECTS and target.at(endpoint) and target.path.startswith(endpoint.prefix):
                path = target.path.removeprefix(endpoint.prefix)
                continue
            if target.host in own:
                return Blobs(pullable=False, did=f"redirects to {target.origin}, the same host name")
            if reply.status not in {200, 307}:
                return Blobs(pullable=False, did=f"answers {reply.status}, and servers take nothing but 307")
            return Blobs(pullable=True, did=f"redirects to {target.origin}")
        return Blobs(pullable=False, did="redirects to itself again and again")

    async def _answered(self, name: ModelName, ask: Callable[[Endpoint], Awaitable[T]]) -> T | Unpublished:
        """What `ask` finds at the registry's address, or why it finds nothing, within the time of one question."""
        try:
            endpoint = self._address(name)
        except Unanswered as unanswered:
            return unanswered.outcome
        within = self._limits.question
        try:
            async with asyncio.timeout(within):
                return await ask(endpoint)
        except NoImage as error:
            return Unpublished(error.code, f"{shown(endpoint, _path(name))}: {error}", error.hint)
        except Unanswered as unanswered:
            return unanswered.outcome
        except TimeoutError:
            return trouble(f"{shown(endpoint, _path(name))}: no answer within {within:g}s in all").outcome

    def _address(self, name: ModelName) -> Endpoint:
        registry = name.registry.lower()
        found = self._addresses.get(registry)
        if found is not None:
            return found
        if self._closed:
            raise trouble(f"`{registry}` is not among `registries`, and not asked", "add it to `registries`")
        try:
            return Endpoint.parse(f"https://{registry}")
        except EndpointError as error:
            raise trouble(f"`{registry}` is no registry that can be asked: {error}", error.hint) from error

    async def _sound(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        name: ModelName,
        *,
        accept: str = "*/*",
        most: int = 0,
        answers: frozenset[int] = frozenset(),
        whole: bool = True,
    ) -> Reply:
        """A reply of status 200, or one among `answers`; with a token where one is wanted. Raises `Unanswered`."""
        token: str | None = None
        moved = False
        while True:
            reply = await self._patience.reply(
                method, endpoint, path, accept=accept, most=most, token=token, whole=whole and method != "HEAD"
            )
            if reply.status == 200 or reply.status in answers:
                return reply
            if reply.status == 401 and token is None:
                token = await self._token(reply, endpoint, path, name)
            elif reply.status in REDIRECTS:
                target = read_place(reply.header(b"location") or "", endpoint.url + path)
                elsewhere = None if target is None or moved else redirect_at(target, endpoint)
                if target is None or elsewhere is None:
                    raise _not_followed(target, shown(endpoint, path))
                # What one registry gave is not shown to another.
                endpoint, path, token, moved = elsewhere, target.path, None, True
            else:
                raise Unanswered(refusal(reply, shown(endpoint, path), name))

    async def _token(self, reply: Reply, asked: Endpoint, path: str, name: ModelName) -> str:
        """The token that everybody gets. Raises `Unanswered` where there is none, or not from where fleet would ask."""
        realm = read_challenge(reply.header(b"www-authenticate"))
        if realm is None:
            raise Unanswered(refusal(reply, shown(asked, path), name))
        endpoint = realm_at(realm, asked, self._addresses)
        if endpoint is None:
            message = f"{shown(asked)} sends to {realm.origin} for a token, which is not asked"
            hint = "if that is right, name the host under `registries` of the inventory"
            raise Unanswered(Unpublished(Code.REGISTRY_UNAUTHORIZED, message, hint))
        answer = await self._patience.reply(
            "GET", endpoint, realm.path, accept="application/json", most=self._limits.token_bytes
        )
        token = read_token(answer.body) if answer.status == 200 else None
        if token is None:
            where = shown(endpoint, realm.path)
            message = f"{where} gives no token for `{name}` to who has no credentials (answered {answer.status})"
            raise Unanswered(Unpublished(Code.REGISTRY_UNAUTHORIZED, message, PRIVATE))
        return token


def _path(name: ModelName) -> str:
    return f"/v2/{name.namespace}/{name.model}/manifests/{name.tag}"


def _not_followed(target: Place | None, where: str) -> Unanswered:
    leads = "nowhere" if target is None else f"to {target.origin}"
    return trouble(
        f"{where} redirects {leads}, which is not followed", "write the final address as its `url` under `registries`"
    )
