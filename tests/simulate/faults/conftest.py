"""One fault before a small stand-in for a host, spoken to through the in-memory transport in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from fleet.simulate.calls import host_call
from fleet.simulate.clock import Clock
from fleet.simulate.fault_layer import FaultLayer
from fleet.simulate.faults import Fault, FaultSet
from fleet.simulate.journal import Journal
from fleet.simulate.memory import MemoryTransport

LINES = [{"status": "pulling manifest"}, {"status": "writing manifest"}, {"status": "success"}]
TAGS = {"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}, {"name": "phi4:14b", "model": "phi4:14b"}]}


@dataclass
class Scene:
    """A host that answers pulls with three lines and everything else with its two models."""

    faults: list[dict[str, Any]]
    seed: str = "seed"
    done: list[str] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self.set = FaultSet([Fault.model_validate(fault) for fault in self.faults], self.seed)

    def break_model(self, name: str) -> None:
        self.done.append(f"break {name}")

    def evict(self, name: str) -> None:
        self.done.append(f"evict {name}")

    def lose(self, digest: str) -> None:
        self.done.append(f"lose {digest}")

    def restart(self, *, idle: float = 0.0, dropping: bool = True) -> None:
        self.done.append(f"restart{f' after {idle:.0f} s' if idle else ''}{'' if dropping else ' unnoticed'}")

    async def host(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.done.append(f"{scope['method']} {scope['path']}")
        stream = scope["path"] == "/api/pull"
        kind = b"application/x-ndjson" if stream else b"application/json"
        whole = json.dumps(TAGS).encode()
        length = [] if stream else [(b"content-length", str(len(whole)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *length]})
        if stream:
            for line in LINES:
                await send({"type": "http.response.body", "body": json.dumps(line).encode() + b"\n", "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": whole})

    def client(self, *, read: float | None = None) -> httpx2.AsyncClient:
        """`read` is the longest silence in seconds."""
        layer = FaultLayer("alpha", self.host, host_call, self.set, self.journal, Clock(), self, self.content)
        transport = MemoryTransport({"alpha:80": layer})
        timeout = httpx2.Timeout(None, read=read)
        return httpx2.AsyncClient(transport=transport, base_url="http://alpha", timeout=timeout)

    def content(self, model: str) -> tuple[str, int] | None:
        return ("ab" * 32, 1000) if model == "qwen3:8b" else None


@pytest.fixture
def scene() -> Callable[..., Scene]:
    return Scene
