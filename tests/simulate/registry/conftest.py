"""A registry in this process, spoken to as Ollama's client speaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from fleet.names import ModelName
from fleet.simulate.clock import Clock
from fleet.simulate.memory import MemoryTransport
from fleet.simulate.registry import Image, Registry
from fleet.simulate.registry_content import TextBlob
from fleet.simulate.registry_pace import Line, Pace
from fleet.simulate.registry_server import RegistryServer


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Desk:
    """A registry with one model, `library/tiny:1`, of the layers `weights` and the config `{}`."""

    registry: Registry = field(default_factory=Registry)
    weights: bytes = b"weights" * 1000
    manifest: bytes = b""
    options: dict[str, Any] = field(default_factory=dict)
    bandwidth: float | None = None
    request_bandwidth: float | None = None
    latency: float = 0.0

    def __post_init__(self) -> None:
        config = b"{}"
        body = {
            "schemaVersion": 2,
            "config": {"digest": digest(config), "size": len(config)},
            "layers": [{"digest": digest(self.weights), "size": len(self.weights)}],
        }
        self.manifest = json.dumps(body).encode()
        blobs = {digest(blob).removeprefix("sha256:"): TextBlob(blob) for blob in (self.weights, config)}
        self.registry.add(ModelName.parse("tiny:1"), Image(self.manifest, blobs))

    def client(self) -> httpx2.AsyncClient:
        """Asks `http://localhost:5000`; `127.0.0.1:5000` is the same registry."""
        clock = Clock()
        pace = Pace(Line(self.bandwidth), self.request_bandwidth, self.latency, clock.sleep, clock.now)
        app = RegistryServer(self.registry, pace, **self.options).application()
        transport = MemoryTransport({"localhost:5000": app, "127.0.0.1:5000": app, "registry.test:5000": app})
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost:5000", timeout=None)


@pytest.fixture
def desk() -> Callable[..., Desk]:
    return Desk
