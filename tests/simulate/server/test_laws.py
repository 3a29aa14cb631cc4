"""Laws of a whole fleet in memory, over random sequences of calls and faults."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.simulate import virtual
from fleet.simulate.memory import MemoryTransport
from fleet.simulate.scenario import Scenario
from fleet.simulate.server import Simulation

MODELS = ["a:1", "b:1", "acme/c:1"]
KINDS: list[dict[str, Any]] = [
    {"fault": "stall", "endpoint": "pull"},
    {"fault": "cut", "lines": 2, "endpoint": "pull"},
    {"fault": "clean-end", "endpoint": "pull", "lines": 1},
    {"fault": "error-then-success", "endpoint": "pull"},
    {"fault": "lie-success", "endpoint": "pull"},
    {"fault": "restart-during", "endpoint": "pull"},
    {"fault": "unreachable"},
    {"fault": "silence"},
    {"fault": "status"},
]
VERSIONS = st.sampled_from(["0.3.4", "0.5.4", "0.9.6", "0.12.6", "0.18.3", "0.32.15"])


def scenario(version: str, faults: list[dict[str, Any]]) -> Scenario:
    models = {model: {"size": 2000} for model in MODELS}
    hosts = {"alpha": {"version": version, "faults": [{**fault, "times": 1} for fault in faults]}}
    return Scenario.model_validate({"hosts": hosts, "registry": {"models": models}})


async def pulled(client: httpx2.AsyncClient, url: str, model: str) -> bool:
    """Whether a careful client may believe the pull: a last line of success, and no error before it."""
    last: dict[str, Any] = {}
    failed = False
    try:
        async with client.stream("POST", f"{url}/api/pull", json={"model": model}) as reply:
            count = 0
            async for line in reply.aiter_lines():
                last = json.loads(line)
                failed = failed or "error" in last
                count += 1
                if count > 200:
                    break
    except httpx2.TransportError:
        return False
    return not failed and last == {"status": "success"}


@settings(max_examples=20, deadline=None)
@given(version=VERSIONS, faults=st.lists(st.sampled_from(KINDS), max_size=4), wanted=st.lists(st.sampled_from(MODELS)))
def test_repeating_pulls_past_all_faults_brings_every_model_as_the_registry_has_it(
    version: str, faults: list[dict[str, Any]], wanted: list[str]
) -> None:
    async def case() -> None:
        network = MemoryTransport()
        client = httpx2.AsyncClient(transport=network, timeout=httpx2.Timeout(30))
        async with client, Simulation(scenario(version, faults), network=network) as simulation:
            host = simulation.hosts["alpha"]
            for model in wanted:
                for _ in range(len(faults) + 1):
                    await pulled(client, host.url, model)
            registry: Any = await simulation.registry.state()
            held = {name: model["digest"] for name, model in host.state()["models"].items()}
            assert held == {model: registry["models"][model]["digest"] for model in wanted}

    virtual.run(case())


@settings(max_examples=20, deadline=None)
@given(version=VERSIONS, faults=st.lists(st.sampled_from(KINDS), max_size=4), wanted=st.lists(st.sampled_from(MODELS)))
def test_the_same_calls_give_the_same_journal_and_state(
    version: str, faults: list[dict[str, Any]], wanted: list[str]
) -> None:
    async def once() -> tuple[Any, Any]:
        network = MemoryTransport()
        client = httpx2.AsyncClient(transport=network, timeout=httpx2.Timeout(30))
        async with client, Simulation(scenario(version, faults), network=network) as simulation:
            for model in wanted:
                await pulled(client, simulation.hosts["alpha"].url, model)
            held = simulation.hosts["alpha"].state()["models"]
            return simulation.journal.requests(), held

    assert virtual.run(once()) == virtual.run(once())
