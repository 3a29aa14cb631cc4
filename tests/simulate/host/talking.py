"""Simulated hosts to talk to: in this process, in virtual time, each request whole."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from fleet.simulate import gguf
from fleet.simulate.gguf import Kind, Value
from fleet.simulate.host import SimulatedHost
from fleet.simulate.memory import MemoryTransport
from fleet.simulate.scenario import parse_scenario
from fleet.simulate.server import Simulation
from fleet.simulate.virtual import VirtualLoop
from tests.simulate.host.depot import Depot

Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str | None:
        return self.headers.get("content-type")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def said(self) -> list[str]:
        """What a stream said, a text each line; errors are marked."""
        return [line.get("status", "") if "error" not in line else f"! {line['error']}" for line in self.lines]

    @property
    def error(self) -> str:
        """The last error."""
        return str(self.lines[-1]["error"])


class Talk:
    """One host. `engine` is what answers."""

    def __init__(self, runner: asyncio.Runner, network: MemoryTransport, url: str, engine: SimulatedHost) -> None:
        self._runner = runner
        self._network = network
        self._url = url
        self.engine = engine

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs a coroutine in the host's loop."""
        return self._runner.run(work)

    def wait(self, seconds: float) -> None:
        """Lets so much time pass."""
        self.run(asyncio.sleep(seconds))

    @property
    def now(self) -> float:
        return self._runner.get_loop().time()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(transport=self._network, base_url=self._url, timeout=None) as client:
            yield client

    async def asked(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        async with self.client() as client:
            reply = await client.request(method, path, content=content, headers=headers)
            return Answer(reply.status_code, reply.headers, reply.content)

    def ask(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.run(self.asked(method, path, content, headers))

    async def posted(self, path: str, /, **body: Any) -> Answer:
        return await self.asked("POST", f"/api/{path}", json.dumps(body).encode())

    def restart(self) -> None:
        """Restarts the server, at the time that it is there."""

        async def restarted() -> None:
            self.engine.restart()

        self.run(restarted())

    def state(self) -> dict[str, Any]:
        """What the engine holds."""

        async def read() -> dict[str, Any]:
            return self.engine.state()

        return self.run(read())

    def get(self, path: str) -> Answer:
        return self.ask("GET", f"/api/{path}")

    def post(self, path: str, /, **body: Any) -> Answer:
        """POST to `/api/…`. A field `from_` is sent as `from`."""
        body = {key.removesuffix("_"): value for key, value in body.items()}
        return self.run(self.posted(path, **body))

    def delete(self, model: str) -> Answer:
        return self.ask("DELETE", "/api/delete", json.dumps({"model": model}).encode())

    def upload(self, content: bytes) -> str:
        """Uploads a file and gives its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.ask("POST", f"/api/blobs/{digest}", content)
        return digest

    def seed(self, name: str, **described: Any) -> str:
        return self.engine.seed(name, **described)

    def names(self) -> list[str]:
        return [str(model["name"]) for model in self.get("tags").json["models"]]

    def running(self) -> list[dict[str, Any]]:
        return list(self.get("ps").json["models"])

    def show(self, model: str, **more: Any) -> dict[str, Any]:
        return dict(self.post("show", model=model, **more).json)

    def layers(self, model: str) -> list[str]:
        """The kinds of a model's layers, in order."""
        return [str(layer["kind"]) for layer in self.state()["models"][model]["layers"]]

    def create(self, model: str, /, **body: Any) -> Answer:
        return self.post("create", model=model, **body)


class Fleet:
    """A simulation in memory: hosts and a registry."""

    def __init__(self, runner: asyncio.Runner, network: MemoryTransport, simulation: Simulation) -> None:
        self._runner = runner
        self.simulation = simulation
        self.registry = simulation.registry_name
        self.hosts = {name: Talk(runner, network, host.url, host.engine) for name, host in simulation.hosts.items()}

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    @property
    def now(self) -> float:
        return self._runner.get_loop().time()

    def requests(self, kind: str = "") -> list[dict[str, object]]:
        """What the registry was asked, in order."""
        everything = [call for call in self.simulation.journal.requests() if call["host"] == "registry"]
        return [call for call in everything if not kind or call["kind"] == kind]


class Place:
    """Where hosts of one test live: they share a loop in virtual time."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._runner = self._stack.enter_context(asyncio.Runner(loop_factory=VirtualLoop))

    def host(self, version: str = "0.32.15", **settings: Any) -> Talk:
        """A host alone: no registry can be reached."""
        settings.setdefault("registries", dict[str, str]().get)
        engine = SimulatedHost(version=version, **settings)
        return Talk(self._runner, MemoryTransport({"localhost:80": engine}), "http://localhost", engine)

    def host_of(self, depot: Depot, version: str = "0.32.15", **settings: Any) -> Talk:
        """A host whose only registry is this one, as `localhost:5000` and by the default name."""
        network = MemoryTransport({"localhost:5000": depot, "127.0.0.1:5000": depot})
        known = {"localhost:5000": "localhost:5000", "registry.ollama.ai": "localhost:5000"}
        engine = SimulatedHost(version=version, registries=known.get, transport=network, **settings)
        network.open("localhost:80", engine)
        return Talk(self._runner, network, "http://localhost", engine)

    def fleet(self, scenario: str) -> Fleet:
        """A scenario with its registry."""
        network = MemoryTransport()
        simulation = Simulation(parse_scenario(scenario), network=network)
        self._runner.run(simulation.__aenter__())
        self._stack.callback(lambda: self._runner.run(simulation.__aexit__(None, None, None)))
        return Fleet(self._runner, network, simulation)

    def close(self) -> None:
        self._stack.close()


LLAMA: dict[str, gguf.Value] = {
    "general.architecture": gguf.text("llama"),
    "general.file_type": gguf.uint(1),
    "llama.context_length": gguf.uint(8192),
    "llama.embedding_length": gguf.uint(64),
    "llama.block_count": gguf.uint(1),
    "llama.attention.head_count": gguf.uint(1),
}
TENSORS = (gguf.Tensor("token_embd.weight", (64, 32), 1), gguf.Tensor("blk.0.attn_norm.weight", (64,), 0))


def shards(count: int = 2, name: str = "a") -> dict[str, bytes]:
    """A model in several files, a tensor each, by the names that they have to have."""
    found = {}
    for number in range(count):
        split = {"split.no": Value(Kind.UINT16, number), "split.count": Value(Kind.UINT16, count)}
        tensor = gguf.Tensor(f"blk.{number}.attn_q.weight", (64,), 0)
        content = gguf_file(LLAMA | split if number == 0 else split, (tensor,), filler=number)
        found[f"{name}-{number + 1:05}-of-{count:05}.gguf"] = content
    return found


def gguf_file(
    metadata: Mapping[str, gguf.Value] | None = None,
    tensors: tuple[gguf.Tensor, ...] = TENSORS,
    *,
    filler: int = 0,
    **more: gguf.Value,
) -> bytes:
    """A small whole GGUF; `more` are metadata with `__` for the dot, other `filler` makes other numbers."""
    extra = {key.replace("__", "."): value for key, value in more.items()}
    head = gguf.write({**(LLAMA if metadata is None else metadata), **extra}, gguf.laid_out(tensors))
    rest = gguf.read(head).end - len(head)
    return head + (bytes((filler + byte) % 256 for byte in range(256)) * (rest // 256 + 1))[: max(0, rest)]
