"""Questions to registries that are scripted byte for byte, on real sockets of loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from fleet.endpoint import Endpoint
from fleet.names import ModelName
from fleet.registry.client import Registries
from fleet.registry.limits import Limits
from fleet.registry.link import Transport
from tests.ollama.sockets import Script, Served, serving

T = TypeVar("T")

CONFIG = "application/vnd.docker.container.image.v1+json"
MODEL = "application/vnd.ollama.image.model"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": CONFIG, "digest": f"sha256:{'a' * 64}", "size": 340},
        "layers": [{"mediaType": MODEL, "digest": f"sha256:{'b' * 64}", "size": 5000}],
    }
).encode()
"""Not in Go's form: it has spaces."""
RAW = sha256(MANIFEST).hexdigest()
TINY = ModelName.parse("reg.test/team/tiny:1")


class Time:
    """A clock that moves by its pauses alone, and tells them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.paused: list[float] = []

    def clock(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def registries(
    addresses: Mapping[str, str],
    *,
    time: Time | None = None,
    closed: bool = False,
    transport: Transport | None = None,
    **limits: Any,
) -> Registries:
    """Without real waiting between tries; `limits` as in `Limits`."""
    time = time or Time()
    return Registries(
        {name: Endpoint.parse(url) for name, url in addresses.items()},
        closed=closed,
        limits=Limits(**limits),
        transport=transport,
        clock=time.clock,
        pause=time.pause,
    )


def url(served: Served) -> str:
    return f"{served.scheme}://{served.host}:{served.port}"


def ask(script: Script, asked: Callable[[Registries, Served], Awaitable[T]], /, **options: Any) -> tuple[T, Served]:
    """What a question to one scripted registry, known as `reg.test`, comes to, and what the registry was asked."""

    async def run() -> tuple[T, Served]:
        async with serving(script) as served, registries({"reg.test": url(served)}, **options) as asking:
            return await asked(asking, served), served

    return asyncio.run(run())
