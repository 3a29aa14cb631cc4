"""Simulated copies of hosts that exist elsewhere, and of the registries that they pull from, on sockets on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from fleet.names import ModelName
from fleet.simulate.blobs import Content, Hollow
from fleet.simulate.config import Config
from fleet.simulate.elsewhere import Elsewhere
from fleet.simulate.host import SimulatedHost
from fleet.simulate.installed import Installed, read_model
from fleet.simulate.listening import Listener, allow_open_files
from fleet.simulate.modelname import Name
from fleet.simulate.options import runner_options
from fleet.simulate.recorded import Rebuilt, RecordedModel, put, rebuilt
from fleet.simulate.registry import Image, Registry, repository_of
from fleet.simulate.registry_pace import Line, Pace
from fleet.simulate.registry_server import RegistryServer

_FILES_PER_HOST = 9
_FILES_BESIDES = 1024
_CONTEXT = 4096
"""Of a runner whose host did not tell it."""


@dataclass(frozen=True, slots=True)
class ListedCopy:
    """One line of a host's listing."""

    listed: str
    model: RecordedModel
    modified: int = 0
    """Nanoseconds since 1970."""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class RunnerCopy:
    """One model in a host's memory."""

    listed: str
    digest: str
    """64 hex digits, of the model when it was loaded: no name need have it any more."""
    size: int
    vram: int
    seconds: float | None
    """For how long it stays; nothing: for ever."""
    context: int | None = None


@dataclass(frozen=True, slots=True)
class HostCopy:
    """What a host is to hold. Limits are in bytes, and nothing where there is none."""

    version: str
    behaves_as: str | None = None
    """The release that it is, where the version does not tell."""
    models: tuple[ListedCopy, ...] = ()
    running: tuple[RunnerCopy, ...] = ()
    disk: int | None = None
    memory: int | None = None
    loaded: int = 0
    """Models in memory at once; 0: as many as fit."""


class Copies:
    """Running between `async with` and its end: every host with a port of its own, and every registry.

    `registries` are named as models' names give them. Contents of `elsewhere` are pulled, uploaded and pushed without
    their bytes. Raises `OSError` on entry where a port cannot be had.
    """

    def __init__(self, hosts: Mapping[str, HostCopy], registries: Iterable[str], elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere
        self._described = hosts
        self._stack = AsyncExitStack()
        self._built: dict[int, Rebuilt] = {}
        """By identity of what was recorded: hosts share it, and it lives as long as this does."""
        self._stores = {name.lower(): _Offered(self._anywhere) for name in registries}
        self._faces = {name: _face(store, name) for name, store in self._stores.items()}
        self.hosts = {name: self._host(copy) for name, copy in hosts.items()}
        self._listeners = {name: Listener(host, 0) for name, host in self.hosts.items()}

    async def __aenter__(self) -> Self:
        allow_open_files(_FILES_PER_HOST * len(self.hosts) + _FILES_BESIDES)
        async with self._stack:
            for listener in (*self._faces.values(), *self._listeners.values()):
                self._stack.push_async_callback(listener.close)
                await listener.open()
            for name, copy in self._described.items():
                self._fill(self.hosts[name], copy)
                await asyncio.sleep(0)
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def url(self, host: str) -> str:
        """Where the copy answers."""
        return f"http://127.0.0.1:{self._listeners[host].port}"

    def offer(self, name: ModelName, model: RecordedModel) -> None:
        """Lets the model's registry, which must be among the given ones, serve it."""
        built = rebuilt(model, self._elsewhere)
        self._stores[name.registry.lower()].add(name, Image(built.raw, {}))

    async def pushed(self, name: ModelName) -> bytes | None:
        """The manifest that a host pushed under this name since; nothing where none did."""
        store = self._stores.get(name.registry.lower())
        if store is None or (repository_of(name), name.tag) not in store.taken:
            return None
        return (await store.manifest(repository_of(name), name.tag))[1]

    def running(self, host: str) -> list[dict[str, Any]]:
        """Name and bytes of what is in a host's memory now."""
        return [
            {"name": str(runner.model.name), "weights": runner.model.runner_key, "size": runner.vram or runner.size}
            for runner in self.hosts[host].runners.listed()
        ]

    def _host(self, copy: HostCopy) -> SimulatedHost:
        return SimulatedHost(
            version=copy.version,
            behaves_as=copy.behaves_as,
            registries=self._contacted,
            disk=copy.disk,
            memory=copy.memory,
            max_loaded=copy.loaded,
            unload_seconds=0.0,
            elsewhere=self._elsewhere,
        )

    def _fill(self, host: SimulatedHost, copy: HostCopy) -> None:
        """What lies there already may be more than the limit says; nothing more fits then."""
        blobs = host.store.blobs
        limit, blobs.disk = blobs.disk, None
        for each in copy.models:
            built = self._built.get(id(each.model))
            if built is None:
                built = self._built[id(each.model)] = rebuilt(each.model, self._elsewhere)
            put(host.store, each.listed, each.model, built, modified=each.modified, whole=each.whole)
        blobs.disk = limit
        for runner in copy.running:
            model = _loaded(host, runner)
            options = runner_options(model.options, _CONTEXT, host.behaviour)
            values = {**options.values, "num_ctx": runner.context or options.context}
            held = type(options)(values, options.automatic)
            host.runners.hold(model, held, size=runner.size, vram=runner.vram, seconds=runner.seconds)

    def _contacted(self, registry: str) -> str | None:
        """Where a host really goes for a registry; nowhere for one that is not among those given."""
        face = self._faces.get(registry.lower())
        return None if face is None else f"127.0.0.1:{face.port}"

    def _anywhere(self, digest: str) -> Content | None:
        """A content that is known by its size, here or on any host: it need not be sent to be there."""
        known = self._elsewhere.contents.get(digest)
        found = (host.store.blobs.find(digest) for host in self.hosts.values())
        return known or next((each for each in found if isinstance(each, Hollow)), None)


class _Blob:
    """A host's content as a registry holds it."""

    declared = True

    def __init__(self, content: Content) -> None:
        self.size = content.size
        self.read = content.read


class _Offered(Registry):
    """A registry that has every blob which need not be sent, and knows which tags were pushed to it."""

    def __init__(self, anywhere: Any) -> None:
        super().__init__()
        self._anywhere = anywhere
        self.taken: set[tuple[str, str]] = set()

    def blob(self, repository: str, digest: str) -> Any:
        content = self._anywhere(f"sha256:{digest}")
        if content is not None and digest not in self.repository(repository).blobs:
            self.blobs.setdefault(digest, _Blob(content))
            self.repository(repository).blobs.add(digest)
        return super().blob(repository, digest)

    def store_manifest(self, repository: str, reference: str, body: bytes) -> str:
        digest = super().store_manifest(repository, reference, body)
        self.taken.add((repository, reference))
        return digest


def _face(store: Registry, name: str) -> Listener:
    pace = Pace(Line(None), None, 0.0, asyncio.sleep, lambda: asyncio.get_running_loop().time())
    return Listener(RegistryServer(store, pace, name=name).application(), 0, ("127.0.0.1", "::1"))


def _loaded(host: SimulatedHost, runner: RunnerCopy) -> Installed:
    """The model of a runner: what the name holds, if that is what was loaded, else another name of it, else none."""
    name = Name.parse(runner.listed)
    for each in (name, *_of_digest(host, runner.digest)):
        stored = host.store.find(each)
        if stored is not None and stored.digest == runner.digest:
            model = read_model(host.store, each)
            model.name = name
            return model
    return Installed(name, runner.digest, 0, Config(), model=f"gone {runner.digest}")


def _of_digest(host: SimulatedHost, digest: str) -> Iterator[Name]:
    return (name for name, stored, _ in host.store.listed() if stored.digest == digest)
