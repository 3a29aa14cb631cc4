"""A whole simulated fleet in one process: hosts, registry and control port, each on sockets of its own on loopback."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from starlette.types import ASGIApp

from fleet.names import InvalidName, ModelName
from fleet.simulate import catalogue
from fleet.simulate.calls import host_call, registry_call
from fleet.simulate.clock import Clock
from fleet.simulate.control import control_application
from fleet.simulate.fault_layer import FaultLayer
from fleet.simulate.faults import FaultSet
from fleet.simulate.host import SimulatedHost
from fleet.simulate.image import ImageManifest
from fleet.simulate.journal import REGISTRY, Journal
from fleet.simulate.listening import Listener, allow_open_files
from fleet.simulate.memory import MemoryListener, MemoryTransport, ask
from fleet.simulate.modelname import Name
from fleet.simulate.registry import repository_of
from fleet.simulate.registry_pace import Line, Pace
from fleet.simulate.registry_running import RunningRegistry
from fleet.simulate.registry_server import RegistryServer
from fleet.simulate.running import Port, RunningHost
from fleet.simulate.scenario import FurtherRegistrySpec, HostSpec, ModelSpec, OfferedModel, RegistrySpec, Scenario
from fleet.simulate.versions import Capability

_REGISTRY_ADDRESSES = ("127.0.0.1", "::1", "localhost")
_FILES_PER_HOST = 9
_FILES_BESIDES = 1024


class Simulation:
    """A simulated fleet, running between `async with` and its end.

    `port` is the first host's, the next ones follow; after `registry_port` the names follow that the registry stands
    for, and then the further registries. 0 lets the system choose each, also for `control_port`.
    `hosts` keeps the scenario's order. With `network` there are no sockets: everything is reached through it alone.
    Raises `OSError` on entry when a port cannot be had.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        port: int = 0,
        registry_port: int = 0,
        control_port: int = 0,
        clock: Clock | None = None,
        network: MemoryTransport | None = None,
    ) -> None:
        self._scenario = scenario
        self._clock = clock or Clock()
        self._network = network
        self._stack = AsyncExitStack()
        self.journal = Journal()
        self._offered = catalogue.offered(scenario.registry)
        described, sleep, now = scenario.registry, self._clock.sleep, self._clock.now
        self._pace = Pace(Line(described.bandwidth), described.request_bandwidth, described.latency, sleep, now)
        main = RunningRegistry(REGISTRY, FaultSet(described.faults, f"{scenario.seed}/{REGISTRY}"))
        self.registry, self.registry_faults = main.store, main.faults
        self._registry = self._registry_listener(registry_port, main, described)
        self.registries = {REGISTRY: main}
        places = iter(range(registry_port + 1, registry_port + 2 + len(described.names) + len(scenario.registries)))
        for name in described.names:
            at = next(places) if registry_port else 0
            main.faces[name.lower()] = self._registry_listener(at, main, described, public=name)
        for name, spec in scenario.registries.items():
            further = RunningRegistry(name, FaultSet(spec.faults, f"{scenario.seed}/{name}"), hidden=spec.hidden)
            at = next(places) if registry_port else 0
            further.faces[name] = self._registry_listener(at, further, spec, name=name)
            self.registries[name] = further
        self._control = self._listener(control_application(self), control_port)
        self.hosts = {
            name: self._host(name, spec, port and port + place)
            for place, (name, spec) in enumerate(scenario.hosts.items())
        }

    async def __aenter__(self) -> Self:
        if self._network is None:
            allow_open_files(_FILES_PER_HOST * len(self.hosts) + _FILES_BESIDES)
        for name, offer in self._offered.items():
            self.offer(name, offer)
        for registry, further in self._scenario.registries.items():
            for name, offer in catalogue.offered(further).items():
                self.offer(name, offer, registry)
        async with self._stack:
            faces = [face for running in self.registries.values() for face in running.faces.values()]
            for listener in (self._registry, *faces, self._control):
                await self._open(listener)
            for name, spec in self._scenario.hosts.items():
                for model, described in spec.models.items():
                    self.seed(name, model, described)
                host = self.hosts[name]
                await self._open(host.listener)
                if spec.down:
                    await host.down()
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _open(self, listener: Port) -> None:
        self._stack.push_async_callback(listener.close)
        await listener.open()

    @property
    def registry_name(self) -> str:
        """The registry as it stands in a model's name, `localhost:11490`."""
        return f"localhost:{self._registry.port}"

    @property
    def registry_url(self) -> str:
        return f"http://{self.registry_name}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self._control.port}"

    def addresses(self) -> dict[str, Any]:
        """Where everything listens, as JSON values."""
        hosts = {name: host.url for name, host in self.hosts.items()}
        return {
            "registry": self.registry_url,
            "registries": self.registry_urls(),
            "control": self.control_url,
            "hosts": hosts,
        }

    def registry_urls(self) -> dict[str, str]:
        """Where each registry is really asked that a model's name may give, the local one aside."""
        return {name: url for running in self.registries.values() for name, url in running.urls().items()}

    def write_inventory(self, path: Path) -> None:
        """Writes a fleet document that names the hosts with their labels, and the registries with where they really are,
        so that nobody who reads it asks beyond this machine. A reader never sees half of it.
        """
        registries: dict[str, Any] = {name: {"url": url} for name, url in self.registry_urls().items()}
        registries[self.registry_name] = {"insecure": True}
        hosts = {
            name: {"url": host.url, "labels": dict(host.labels)} if host.labels else host.url
            for name, host in self.hosts.items()
        }
        text = yaml.safe_dump({"version": 1, "registries": registries, "hosts": hosts}, sort_keys=False)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def offer(self, model: str, spec: OfferedModel, registry: str = REGISTRY) -> None:
        """Puts a model into a registry's catalogue, or another content under its tag."""
        self.registries[registry].offer(model, spec)

    def seed(self, host: str, model: str, spec: ModelSpec | None) -> None:
        """Puts a model on a host, without a description as the registry has it."""
        image = catalogue.build(model, spec or self._offered.get(model) or OfferedModel())
        store = self.hosts[host].engine.store
        for digest, blob in image.blobs.items():
            store.blobs.add(blob, f"sha256:{digest}")
        # As if that server had pulled it.
        kept = store.behaviour.has(Capability.PULL_KEEPS_BYTES)
        written = image.manifest if kept else ImageManifest.decoded(image.manifest).encoded(newline=False)
        store.write(Name.parse(model), written)

    async def remove(self, host: str, model: str) -> None:
        """Takes a model from a host as somebody at the machine would; the counters do not see it."""
        await ask(self.hosts[host].engine, "DELETE", "/api/delete", {"model": model})

    def _host(self, name: str, spec: HostSpec, port: int) -> RunningHost:
        engine = SimulatedHost(
            version=spec.version or self._scenario.ollama,
            registries=self._contacted,
            transport=self._network,
            disk=spec.disk,
            memory=spec.memory,
            max_loaded=spec.max_loaded,
            keep_alive=spec.keep_alive,
            context_length=spec.context_length,
            noprune=spec.noprune,
            load_seconds=spec.load_time,
            monotonic=self._clock.now,
            sleep=self._clock.sleep,
            seed=f"{self._scenario.seed}/{name}/order",
            answers=spec.answers,
        )
        faults = FaultSet(spec.faults, f"{self._scenario.seed}/{name}")
        host = RunningHost(name, engine, faults, dict(spec.labels))
        layer = FaultLayer(
            name, engine, host_call, faults, self.journal, self._clock, victim=host, content=self._content
        )
        host.listener = self._listener(layer, port)
        return host

    def _registry_listener(
        self,
        port: int,
        running: RunningRegistry,
        spec: RegistrySpec | FurtherRegistrySpec,
        *,
        public: str | None = None,
        name: str | None = None,
    ) -> Port:
        face = RegistryServer(
            running.store,
            self._pace,
            public=public,
            name=name,
            mirror=spec.mirror,
            redirect=spec.redirect,
            token=spec.token,
            realm=spec.realm,
        )
        layer = FaultLayer(running.name, face.application(), registry_call, running.faults, self.journal, self._clock)
        return self._listener(layer, port, _REGISTRY_ADDRESSES)

    def _listener(self, app: ASGIApp, port: int, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Port:
        if self._network is not None:
            return MemoryListener(self._network, app, port, addresses)
        return Listener(app, port, tuple(address for address in addresses if address != "localhost"))

    def _contacted(self, registry: str) -> str | None:
        """Where a simulated host really goes for a registry that a name gives; None: there is no such host."""
        for running in self.registries.values():
            face = running.faces.get(registry.lower())
            if face is not None:
                return None if running.hidden else f"127.0.0.1:{face.port}"
        name = registry.rpartition(":")[0] if ":" in registry else registry
        return registry if name in {"localhost", "127.0.0.1", "::1", "[::1]"} else None

    def _content(self, model: str) -> tuple[str, int] | None:
        """Digest and size of a model's largest layer, where the registry has it at hand."""
        try:
            name = ModelName.parse(model)
        except InvalidName:
            return None
        repository = self.registry.repositories.get(repository_of(name))
        digest = repository.tags.get(name.tag) if repository else None
        if repository is None or digest is None:
            return None
        return self.registry.largest(repository.manifests[digest])
