"""Questions to the simulator's registries over real sockets, by what its own inventory says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from fleet.codes import Code
from fleet.manifest.inventory import Registry
from fleet.names import Digest, ModelName
from fleet.registry.addresses import addresses, registries
from fleet.registry.client import Registries
from fleet.registry.served import Blobs, Published, Unpublished
from fleet.settings import Settings
from tests.simulated import Simulated

T = TypeVar("T")
Simulate = Callable[[str], Simulated]

SETTINGS = Settings(retry_wait=0)
MANY = """
hosts: {alpha: {version: 0.5.4}, beta: {}}
registry: {models: {qwen3:8b: {size: 200KB, indented: true}, secret: {private: true}}}
registries:
  mirror.lan:5000: {models: {qwen3:8b: {size: 100KB}}, token: true}
  plain.lan: {models: {qwen3:8b: {size: 100KB}}, redirect: false}
  foreign.lan: {models: {qwen3:8b: {size: 100KB}}, token: true, realm: "http://127.0.0.2:9/token"}
"""


def asking(simulated: Simulated, folder: Path, question: Callable[[Registries], Awaitable[T]]) -> T:
    """What a question comes to, asked as the written inventory has it."""
    inventory = yaml.safe_load(Path(simulated.inventory(folder / "hosts.yaml")).read_text())
    declared = {name: Registry(name, **given) for name, given in inventory["registries"].items()}

    async def run() -> T:
        async with registries(declared, SETTINGS) as asked:
            return await question(asked)

    return asyncio.run(run())


def pulled(simulated: Simulated, host: str, model: str) -> Digest:
    """What a host lists after it pulled the model itself."""
    from fleet.endpoint import Endpoint
    from fleet.ollama.client import Client

    async def run() -> Digest:
        async with Client(Endpoint.parse(simulated.urls[host])) as client:
            async for _ in client.pull(model):
                pass
            return next(Digest.parse(listed.digest) for listed in await client.tags() if listed.name == model)

    return asyncio.run(run())


def test_every_name_leads_to_its_own_registry_and_hosts_list_what_it_serves(simulate: Simulate, tmp_path: Path) -> None:
    simulated = simulate(MANY)
    names = [
        "qwen3:8b",
        "hf.co/library/qwen3:8b",
        "mirror.lan:5000/library/qwen3:8b",
        f"{simulated.registry}/library/qwen3:8b",
    ]

    async def all_of_them(asked: Registries) -> list[Any]:
        return [await asked.served(ModelName.parse(name)) for name in names]

    main, same, mirrored, local = asking(simulated, tmp_path, all_of_them)
    assert main.image == same.image == local.image
    assert mirrored.image.raw != main.image.raw
    assert main.image.raw != main.image.normalised
    assert pulled(simulated, "alpha", "qwen3:8b") == main.image.normalised
    assert pulled(simulated, "beta", "qwen3:8b") == main.image.raw
    for host in ("alpha", "beta"):
        assert pulled(simulated, host, "mirror.lan:5000/library/qwen3:8b") == mirrored.image.raw


def test_a_tag_that_moved_is_seen_in_the_next_run(simulate: Simulate, tmp_path: Path) -> None:
    simulated = simulate(MANY)

    async def now(asked: Registries) -> Any:
        return await asked.served(ModelName.parse("mirror.lan:5000/library/qwen3:8b"))

    before = asking(simulated, tmp_path, now)
    simulated.post("/registries/mirror.lan:5000/add", {"model": "qwen3:8b", "size": "50KB"})
    after = asking(simulated, tmp_path, now)
    assert before.image.raw != after.image.raw


def test_private_models_and_missing_ones(simulate: Simulate, tmp_path: Path) -> None:
    async def both(asked: Registries) -> list[Any]:
        return [
            await asked.served(ModelName.parse(name)) for name in ("secret", "nope", "foreign.lan/library/qwen3:8b")
        ]

    simulated = simulate(MANY)
    secret, nope, foreign = asking(simulated, tmp_path, both)
    assert (secret.code, nope.code) == (Code.REGISTRY_UNAUTHORIZED, Code.NOT_IN_REGISTRY)
    assert "http://127.0.0.2:9 for a token, which is not asked" in foreign.message


def test_questions_of_fleet_are_few(simulate: Simulate, tmp_path: Path) -> None:
    simulated = simulate(MANY)

    async def many(asked: Registries) -> None:
        await asyncio.gather(*(asked.served(ModelName.parse("qwen3:8b")) for _ in range(100)))

    asking(simulated, tmp_path, many)
    counted = simulated._ask("GET", "/counters")["registries"]["registry"]
    assert counted["clients"] == {"ollama-fleet": {"manifest": 1}}


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("qwen3:8b", Blobs(pullable=True, did="redirects to http://localhost:")),
        ("mirror.lan:5000/library/qwen3:8b", Blobs(pullable=True, did="redirects to http://localhost:")),
        ("plain.lan/library/qwen3:8b", Blobs(pullable=False, did="answers 200 with the blob itself")),
    ],
)
def test_whether_blobs_can_be_pulled(simulate: Simulate, tmp_path: Path, model: str, found: Blobs) -> None:
    simulated = simulate(MANY)
    simulated.reset()
    told = asking(simulated, tmp_path, lambda asked: asked.blobs(ModelName.parse(model)))
    assert isinstance(told, Blobs)
    assert (told.pullable, told.did.rstrip("0123456789")) == (found.pullable, found.did)
    assert "content" not in {request["kind"] for request in simulated.requests()}


def test_no_blobs_without_a_model(simulate: Simulate, tmp_path: Path) -> None:
    told = asking(simulate(MANY), tmp_path, lambda asked: asked.blobs(ModelName.parse("nope")))
    assert isinstance(told, Unpublished)
    assert told.code is Code.NOT_IN_REGISTRY


def test_429_is_waited_out(simulate: Simulate, tmp_path: Path) -> None:
    simulated = simulate(MANY)
    busy = {"fault": "status", "status": 429, "retry_after": 1, "endpoint": "manifest", "times": 1}
    simulated.post("/registry/faults", {"faults": [busy]})
    found = asking(simulated, tmp_path, lambda asked: asked.served(ModelName.parse("qwen3:8b")))
    assert isinstance(found, Published)


def test_where_each_registry_is_asked() -> None:
    declared = [
        Registry("registry.ollama.ai", mirror="mirror.lan:5000"),
        Registry("hf.co"),
        Registry("plain.lan:5000", insecure=True),
        Registry("proxied.lan", url="https://proxy.lan/v/x"),
        Registry("other.lan", insecure=True, mirror="Unlisted.lan"),
        Registry("a:b:c"),
    ]
    found = addresses({registry.name: registry for registry in declared})
    assert {name: endpoint.url for name, endpoint in found.items()} == {
        "registry.ollama.ai": "https://registry.ollama.ai:443",
        "mirror.lan:5000": "https://mirror.lan:5000",
        "hf.co": "https://hf.co:443",
        "plain.lan:5000": "http://plain.lan:5000",
        "proxied.lan": "https://proxy.lan:443/v/x",
        "other.lan": "http://other.lan:80",
        "unlisted.lan": "https://unlisted.lan:443",
    }
