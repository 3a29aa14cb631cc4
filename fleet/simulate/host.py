"""One simulated Ollama host: an ASGI application that answers as a server of its version does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, timezone
from typing import Any
from urllib.parse import unquote

import httpx2

from fleet.simulate import seeds
from fleet.simulate.access import host_allowed, origin_allowed
from fleet.simulate.answers import Answer
from fleet.simulate.download import Downloads
from fleet.simulate.elsewhere import Elsewhere
from fleet.simulate.endpoints import Endpoints
from fleet.simulate.hosttime import host_time
from fleet.simulate.inference import Inference
from fleet.simulate.modelname import Name
from fleet.simulate.pull import Puller
from fleet.simulate.push import Pusher
from fleet.simulate.remote import Registries, Remote, local_registries
from fleet.simulate.routes import Route, find_route
from fleet.simulate.runners import Limits, Runners
from fleet.simulate.store import Store
from fleet.simulate.unread import Body
from fleet.simulate.uploads import Uploads
from fleet.simulate.versions import Behaviour
from fleet.simulate.wire import Receive, Refusal, Reply, Send, Streamed, error, send_reply, send_stream

Scope = Mapping[str, Any]


class SimulatedHost:
    """A host with a store of its own. HTTP only; it never leaves the machine.

    `registries` says where the registry of a model's name really is (`host:port`, plain HTTP), or none for "no such
    host". `disk` and `memory` are in bytes, none for no limit; with `memory` models count as on a GPU. Times are in
    seconds: `keep_alive` (negative for ever), `load_seconds` for each load besides what `load_rate` (bytes per
    second) makes of its size, `unload_seconds` for which a runner is still seen. `download_rate` is in bytes per
    second and blob. `clock` gives seconds since 1970, `monotonic` seconds from anywhere; `sleep` passes them; without
    clocks the host lives in the event loop's time. `transport` stands in for the network towards registries. `seed` is
    that of what is chance on a server: the order in which it looks at several files. Of `answers` the first that fits
    is given, else one that says that it is simulated. `behaves_as` is the release that it really is, where `version`
    does not tell; contents that exist `elsewhere` come without their bytes.
    """

    def __init__(
        self,
        *,
        version: str = "0.32.15",
        models_dir: str = "/var/lib/ollama/models",
        registries: Registries = local_registries,
        disk: int | None = None,
        memory: int | None = None,
        max_loaded: int = 3,
        max_queue: int = 512,
        keep_alive: float = 300.0,
        context_length: int | None = None,
        noprune: bool = False,
        load_seconds: float = 0.0,
        load_rate: float | None = None,
        unload_seconds: float = 0.05,
        download_rate: float | None = None,
        zone: timezone = UTC,
        clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx2.AsyncBaseTransport | None = None,
        seed: str | int = 0,
        answers: Iterable[Answer] = (),
        behaves_as: str | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.behaviour = replace(Behaviour.of(behaves_as or version), text=version)
        self.answers = tuple(answers)
        """What models are to say; may be exchanged at any time."""
        self.counters: Counter[str] = Counter()
        time = host_time(clock, monotonic, sleep)
        limits = Limits(memory, max_loaded, max_queue, keep_alive, load_seconds, load_rate, unload_seconds)
        self.store = Store(self.behaviour, models_dir, disk=disk, noprune=noprune, clock=time.wall, elsewhere=elsewhere)
        self.runners = Runners(self.behaviour, limits, time)
        remote = Remote(self.behaviour, registries, transport)
        self._downloads = Downloads(self.store, remote, time, rate=download_rate)
        self._uploads = Uploads(self.store)
        self._endpoints = Endpoints(
            self.store,
            self._uploads,
            self.runners,
            Inference(self.store, self.runners, time, context_length, lambda: self.answers),
            Puller(self.store, remote, self._downloads),
            Pusher(self.store, remote, time),
            zone,
            random.Random(seed),  # noqa: S311 - repeatable, no secret
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        head = scope["method"] == "HEAD"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        address = headers.get("host", "")
        if not origin_allowed(headers.get("origin", ""), address, self.behaviour) or not host_allowed(
            address, self.behaviour
        ):
            await send_reply(Reply(403), send, head=head)
            return
        route = find_route(scope["method"], unquote(scope["path"]), self.behaviour)
        if isinstance(route, Reply):
            self.counters["other"] += 1
            await send_reply(route, send, head=head)
            return
        if route.kind == "blob_post":
            self.counters["blob_post"] += 1
            upload = Body(scope, receive)
            await upload.answer(await self._refusable(self._uploads.take(route.argument, upload)), send)
            return
        await self._answer(route, receive, send, head=head)

    async def _answer(self, route: Route, receive: Receive, send: Send, *, head: bool) -> None:
        body = await _body(receive)
        if body is None:
            return
        # A client that leaves ends what was begun for it: downloads nobody else waits for, loads, streams.
        work = asyncio.ensure_future(self._work(route, body, send, head=head))
        left = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if not work.cancelled():
            work.result()

    async def _work(self, route: Route, body: bytes, send: Send, *, head: bool) -> None:
        loads, unloads = self.runners.loads, self.runners.unloads
        answer = await self._refusable(self._endpoints.answer(route, body))
        self._count(route.kind, answer, loaded=self.runners.loads > loads, unloaded=self.runners.unloads > unloads)
        if isinstance(answer, Streamed):
            await send_stream(answer, self.behaviour, send)
        else:
            await send_reply(answer, send, head=head)

    def _count(self, kind: str, answer: Reply | Streamed, *, loaded: bool, unloaded: bool) -> None:
        """Counts a request by kind; such as only load or unload a model are counted as that."""
        if isinstance(answer, Reply) and kind in {"generate", "chat", "embed"}:
            if b'"done_reason":"load"' in answer.body or (kind == "embed" and b'"embeddings":[]' in answer.body):
                kind = "load"
            elif b'"done_reason":"unload"' in answer.body:
                kind = "unload"
        self.counters[kind] += 1
        if loaded:
            self.counters["runners_started"] += 1
        if unloaded:
            self.counters["runners_ended"] += 1

    async def _refusable(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except Refusal as refusal:
            return error(refusal.status, str(refusal))

    def seed(self, name: str, **described: Any) -> str:
        """Puts a model into the store without the API; see `seeds.seed`. Gives the manifest's bare digest."""
        return seeds.seed(self.store, Name.parse(name), **described)

    def restart(self, idle: float = 0.0) -> None:
        """What a restart does: downloads and runners go, the store is cleaned up by the version's rules.

        `idle` is for how many seconds the host was down: what lies there is older by them.
        """
        self._downloads.cancel_all()
        self.runners.clear()
        self.store.restarted(idle)

    def lose(self, digest: str) -> bool:
        """Takes a blob away, whoever uses it; says whether it was there."""
        return self.store.blobs.remove(digest)

    def break_model(self, name: str) -> None:
        """Takes the weights away: the model is still listed, but cannot be shown or run."""
        _, manifest = self.store.get(Name.parse(name))
        for layer in manifest.layers or ():
            if layer.kind == "model":
                self.store.blobs.remove(layer.digest)

    def evict(self, name: str) -> None:
        """Ends the runner of a model's weights, as if it had crashed."""
        _, manifest = self.store.get(Name.parse(name))
        for layer in manifest.layers or ():
            if layer.kind == "model":
                self.runners.evict(layer.digest)

    def state(self) -> dict[str, Any]:
        """What the host holds, as JSON values."""
        models = {
            str(name): {
                "digest": stored.digest,
                "size": manifest.size,
                "layers": [
                    {"kind": layer.kind, "digest": layer.digest, "size": layer.size, "from": layer.origin}
                    for layer in manifest.layers or ()
                ],
            }
            for name, stored, manifest in self.store.listed()
        }
        running = [
            {
                "name": str(runner.model.name),
                "digest": runner.model.digest,
                "weights": runner.model.model,
                "context_length": runner.context,
                "session_seconds": runner.session / 10**9,
            }
            for runner in self.runners.listed()
        ]
        return {
            "version": self.behaviour.text,
            "models": models,
            "running": running,
            "blobs": {digest: blob.content.size for digest, blob in self.store.blobs},
            "orphans": self.store.orphans(),
            "disk_used": self.store.blobs.used,
            "counters": dict(sorted(self.counters.items())),
        }


async def _body(receive: Receive) -> bytes | None:
    """The whole body of a request; none if the client left before it was there."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
