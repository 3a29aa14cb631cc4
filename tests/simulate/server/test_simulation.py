"""Whole simulated fleets, in memory and on sockets: what hosts hold, what the control port does, what is counted."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from fleet.simulate import virtual
from fleet.simulate.memory import MemoryTransport
from fleet.simulate.scenario import Scenario, parse_scenario
from fleet.simulate.server import Simulation

SCENARIO = """
hosts:
  alpha:
    version: 0.9.6
    labels: {tier: prod}
    models: [qwen3:8b]
  beta:
    models:
      acme/own:1: {size: 300KB, system: Be kind.}
"""


class Fleet:
    """A simulation in memory and one client for all of it."""

    def __init__(self, simulation: Simulation, client: httpx2.AsyncClient) -> None:
        self.simulation = simulation
        self.client = client

    async def host(self, name: str, method: str, path: str, body: Any = None) -> Any:
        reply = await self.client.request(method, self.simulation.hosts[name].url + path, json=body)
        lines = [json.loads(line) for line in reply.text.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    async def names(self, host: str) -> list[str]:
        return sorted(model["name"] for model in (await self.host(host, "GET", "/api/tags"))["models"])

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        reply = await self.client.request(method, self.simulation.control_url + path, json=body)
        reply.raise_for_status()
        return reply.json()

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        reply = await self.client.request(method, self.simulation.control_url + path, json=body)
        return reply.status_code, reply.json()["error"]


def in_memory(case: Callable[[Fleet], Awaitable[None]], scenario: str = SCENARIO) -> None:
    async def whole() -> None:
        network = MemoryTransport()
        client = httpx2.AsyncClient(transport=network, timeout=None)
        async with client, Simulation(parse_scenario(scenario), network=network) as simulation:
            await case(Fleet(simulation, client))

    virtual.run(whole())


def test_hosts_answer_with_their_versions_and_hold_their_models() -> None:
    async def case(fleet: Fleet) -> None:
        assert await fleet.host("alpha", "GET", "/api/version") == {"version": "0.9.6"}
        assert await fleet.host("beta", "GET", "/api/version") == {"version": "0.32.15"}
        assert await fleet.names("alpha") == ["qwen3:8b"]
        shown = await fleet.host("beta", "POST", "/api/show", {"model": "acme/own:1"})
        assert (shown["system"], shown["details"]["parameter_size"]) == ("Be kind.", "8.0B")

    in_memory(case)


@pytest.mark.parametrize("name", ["qwen3:8b", "registry.ollama.ai/library/qwen3:8b"])
def test_a_model_held_from_the_start_is_the_registrys(name: str) -> None:
    async def case(fleet: Fleet) -> None:
        assert (await fleet.host("beta", "POST", "/api/pull", {"model": name}))[-1] == {"status": "success"}
        digests = [(await fleet.host(host, "GET", "/api/tags"))["models"] for host in ("alpha", "beta")]
        found = {model["digest"] for models in digests for model in models if model["name"] == "qwen3:8b"}
        registry = (await fleet.control("GET", "/registry/state"))["models"]
        assert found == {registry["qwen3:8b"]["digest"]}

    in_memory(case)


def test_a_pull_takes_as_long_as_the_line_needs() -> None:
    async def case(fleet: Fleet) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await fleet.host("alpha", "POST", "/api/pull", {"model": "big"})
        assert loop.time() - before == pytest.approx(100, abs=3)

    in_memory(case, "hosts: {alpha: {}}\nregistry: {bandwidth: 100KB, models: {big: {size: 10MB}}}")


def test_push_to_the_registry_and_pull_elsewhere() -> None:
    async def case(fleet: Fleet) -> None:
        name = f"{fleet.simulation.registry_name}/team/own:1"
        copied = await fleet.client.post(
            fleet.simulation.hosts["beta"].url + "/api/copy", json={"source": "acme/own:1", "destination": name}
        )
        assert copied.status_code == 200
        pushed = await fleet.host("beta", "POST", "/api/push", {"model": name, "insecure": True})
        assert pushed[-1] == {"status": "success"}
        pulled = await fleet.host("alpha", "POST", "/api/pull", {"model": name, "insecure": True})
        assert pulled[-1] == {"status": "success"}
        assert (await fleet.host("alpha", "POST", "/api/show", {"model": name}))["system"] == "Be kind."

    in_memory(case)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nope", "pull model manifest: file does not exist"),
        ("secret", "unauthorized"),
        ("nowhere.example/a/b", "no such host"),
    ],
)
def test_what_cannot_be_pulled_says_why(name: str, words: str) -> None:
    async def case(fleet: Fleet) -> None:
        lines = await fleet.host("alpha", "POST", "/api/pull", {"model": name})
        assert words in lines[-1]["error"]

    in_memory(case, "hosts: {alpha: {}}\nregistry: {models: {secret: {private: true}}}")


def test_default_registry_takes_no_pushes_to_library() -> None:
    async def case(fleet: Fleet) -> None:
        lines = await fleet.host("alpha", "POST", "/api/push", {"model": "qwen3:8b"})
        assert "error" in lines[-1]

    in_memory(case)


def test_requests_are_counted_by_host_and_kind_until_reset() -> None:
    async def case(fleet: Fleet) -> None:
        await fleet.host("alpha", "GET", "/api/tags")
        await fleet.host("alpha", "POST", "/api/pull", {"model": "phi4:14b"})
        await fleet.host("beta", "POST", "/api/generate", {"model": "acme/own:1", "keep_alive": -1, "stream": False})
        counted = await fleet.control("GET", "/counters")
        assert counted["hosts"]["alpha"] == {"changing": 1, "pull": 1, "tags": 1}
        assert counted["hosts"]["beta"] == {"changing": 1, "load": 1}
        assert counted["total"]["changing"] == 2
        assert counted["registry"]["manifest"] == 1
        requests = (await fleet.control("GET", "/requests"))["requests"]
        assert {"alpha", "beta", "registry"} == {request["host"] for request in requests}
        await fleet.control("POST", "/counters/reset")
        assert (await fleet.control("GET", "/counters"))["total"] == {"changing": 0}

    in_memory(case)


def test_control_changes_what_hosts_hold() -> None:
    async def case(fleet: Fleet) -> None:
        await fleet.control("POST", "/hosts/alpha/seed", {"model": "phi4:14b"})
        await fleet.control("POST", "/hosts/alpha/seed", {"model": "acme/x", "size": "200KB", "system": "Hi"})
        assert await fleet.names("alpha") == ["acme/x:latest", "phi4:14b", "qwen3:8b"]
        await fleet.control("POST", "/hosts/alpha/remove", {"model": "qwen3:8b"})
        assert await fleet.names("alpha") == ["acme/x:latest", "phi4:14b"]
        await fleet.control("POST", "/hosts/alpha/break", {"model": "phi4:14b"})
        assert "error" in await fleet.host("alpha", "POST", "/api/show", {"model": "phi4:14b"})
        assert (await fleet.control("GET", "/counters"))["hosts"]["alpha"]["changing"] == 0

    in_memory(case)


def test_control_ends_runners_and_a_restart_ends_all() -> None:
    async def case(fleet: Fleet) -> None:
        async def loaded() -> int:
            await asyncio.sleep(10)
            return len((await fleet.host("beta", "GET", "/api/ps"))["models"])

        load = {"model": "acme/own:1", "keep_alive": -1, "stream": False}
        await fleet.host("beta", "POST", "/api/generate", load)
        assert await loaded() == 1
        await fleet.control("POST", "/hosts/beta/evict", {"model": "acme/own:1"})
        assert await loaded() == 0
        await fleet.host("beta", "POST", "/api/generate", load)
        await fleet.control("POST", "/hosts/beta/restart")
        assert await loaded() == 0
        assert await fleet.names("beta") == ["acme/own:1"]

    in_memory(case)


def test_a_host_that_is_down_refuses_and_comes_back() -> None:
    async def case(fleet: Fleet) -> None:
        with pytest.raises(httpx2.ConnectError):
            await fleet.names("beta")
        await fleet.control("POST", "/hosts/beta/up")
        assert await fleet.names("beta") == []
        await fleet.control("POST", "/hosts/beta/down")
        assert (await fleet.control("GET", "/hosts/beta/state"))["up"] is False
        with pytest.raises(httpx2.ConnectError):
            await fleet.names("beta")

    in_memory(case, "hosts: {beta: {down: true}}")


def test_an_upload_is_an_orphan_until_a_model_uses_it_and_goes_with_a_restart() -> None:
    async def case(fleet: Fleet) -> None:
        async def uploaded(host: str) -> None:
            content = b"Be kind."
            await fleet.client.post(f"{fleet.simulation.hosts[host].url}/api/blobs/{digest}", content=content)

        async def orphans(host: str) -> dict[str, int]:
            return dict((await fleet.control("GET", f"/hosts/{host}/state"))["orphans"])

        digest = f"sha256:{hashlib.sha256(b'Be kind.').hexdigest()}"
        for host in ("alpha", "beta"):
            await uploaded(host)
            known = host == "beta"  # where it is the system text of a model
            assert await orphans(host) == ({} if known else {digest: 8})
        await fleet.control("POST", "/hosts/beta/remove", {"model": "acme/own:1"})
        await uploaded("beta")
        for host, after, left in (("alpha", {}, {}), ("beta", {}, {digest: 8}), ("beta", {"idle": "1h"}, {})):
            await fleet.control("POST", f"/hosts/{host}/restart", after)
            assert await orphans(host) == left, "the newer one spares what is younger than an hour"
        await uploaded("beta")
        await fleet.control("POST", "/hosts/beta/lose", {"digest": digest.replace(":", "-")})
        assert await orphans("beta") == {}
        assert (await fleet.control("GET", "/counters"))["uploads"] == {"alpha": {digest: 1}, "beta": {digest: 3}}

    in_memory(case)


def test_models_say_what_the_scenario_or_the_control_port_wants() -> None:
    async def case(fleet: Fleet) -> None:
        async def said() -> str:
            body = {"model": "qwen3:8b", "prompt": "2+2?", "stream": False}
            return str((await fleet.host("alpha", "POST", "/api/generate", body))["response"])

        assert await said() == "4"
        await fleet.control("POST", "/hosts/alpha/answers", {"answers": [{"says": "5"}]})
        assert await said() == "5"
        await fleet.control("POST", "/hosts/alpha/answers")
        assert await said() == "[simulated] OK, this host does not think."

    in_memory(case, "hosts: {alpha: {models: [qwen3:8b], answers: [{prompt: '2+2*', says: '4'}]}}")


def test_a_created_model_is_served_as_a_registry_serves_it() -> None:
    async def case(fleet: Fleet) -> None:
        name = f"{fleet.simulation.registry_name}/team/own:1"
        await fleet.host("alpha", "POST", "/api/create", {"model": name, "from": "qwen3:8b", "system": "Be kind."})
        pushed = await fleet.host("alpha", "POST", "/api/push", {"model": name, "insecure": True})
        assert pushed[-1] == {"status": "success"}
        served = await fleet.client.get(f"{fleet.simulation.registry_url}/v2/team/own/manifests/1")
        assert served.content.endswith(b"}")
        held = (await fleet.control("GET", "/hosts/alpha/state"))["models"][name]["digest"]
        assert hashlib.sha256(served.content + b"\n").hexdigest() == held
        await fleet.host("beta", "POST", "/api/pull", {"model": name, "insecure": True})
        (pulled,) = [
            model for model in (await fleet.host("beta", "GET", "/api/tags"))["models"] if model["name"] == name
        ]
        assert pulled["digest"] == hashlib.sha256(served.content).hexdigest()

    in_memory(case)


def test_faults_are_set_shown_and_cleared_while_it_runs() -> None:
    async def case(fleet: Fleet) -> None:
        described = {"faults": [{"fault": "status", "status": 500, "endpoint": "tags"}]}
        assert (await fleet.control("POST", "/hosts/alpha/faults", described))["faults"][0]["struck"] == 0
        assert "error" in await fleet.host("alpha", "GET", "/api/tags")
        assert (await fleet.control("GET", "/hosts/alpha/faults"))["faults"][0]["struck"] == 1
        assert await fleet.names("beta") == ["acme/own:1"]
        await fleet.control("DELETE", "/hosts/alpha/faults")
        assert await fleet.names("alpha") == ["qwen3:8b"]

    in_memory(case)


def test_registry_faults_reach_the_pull() -> None:
    async def case(fleet: Fleet) -> None:
        described = {"faults": [{"fault": "status", "status": 429, "endpoint": "manifest"}]}
        await fleet.control("POST", "/registry/faults", described)
        lines = await fleet.host("alpha", "POST", "/api/pull", {"model": "phi4:14b"})
        assert lines[-1]["error"].startswith("pull model manifest: 429: ")
        assert (await fleet.control("GET", "/registry/faults"))["faults"][0]["struck"] == 1
        await fleet.control("DELETE", "/registry/faults")
        assert (await fleet.host("alpha", "POST", "/api/pull", {"model": "phi4:14b"}))[-1] == {"status": "success"}

    in_memory(case)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("no-redirect", "http: no Location header in response"), ("damaged", "digest mismatch")],
)
def test_a_registry_that_serves_blobs_wrong_fails_the_pull(fault: str, words: str) -> None:
    async def case(fleet: Fleet) -> None:
        lines = await fleet.host("alpha", "POST", "/api/pull", {"model": "phi4:14b"})
        assert words in lines[-1]["error"]
        assert await fleet.names("alpha") == []

    endpoint = "blob" if fault == "no-redirect" else "content"
    in_memory(case, f"hosts: {{alpha: {{}}}}\nregistry: {{faults: [{{fault: {fault}, endpoint: {endpoint}}}]}}")


def test_a_tag_moves_and_hosts_pull_the_new_content() -> None:
    async def case(fleet: Fleet) -> None:
        before = (await fleet.host("alpha", "GET", "/api/tags"))["models"][0]["digest"]
        await fleet.control("POST", "/registry/add", {"model": "qwen3:new", "size": "1MB"})
        moved = await fleet.control("POST", "/registry/move", {"model": "qwen3:8b", "to": "new"})
        await fleet.host("alpha", "POST", "/api/pull", {"model": "qwen3:8b"})
        after = (await fleet.host("alpha", "GET", "/api/tags"))["models"][0]["digest"]
        assert (after, after == before) == (moved["digest"], False)
        await fleet.control("POST", "/registry/remove", {"model": "qwen3:8b"})
        assert "error" in (await fleet.host("alpha", "POST", "/api/pull", {"model": "qwen3:8b"}))[-1]

    in_memory(case)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "/hosts/none/down", None, 404, "no host `none` in this simulation"),
        ("POST", "/hosts/alpha/seed", {}, 400, "`model` names the model"),
        ("POST", "/hosts/alpha/lose", {}, 400, "`digest` names the blob"),
        ("POST", "/hosts/alpha/restart", {"idle": "soon"}, 400, "`soon` is no duration"),
        ("POST", "/hosts/alpha/answers", {"answers": [{"prompt": "x"}]}, 400, "0.says: Field required"),
        ("POST", "/hosts/alpha/seed", {"model": "a b"}, 400, "`a b` is no model name"),
        ("POST", "/hosts/alpha/seed", {"model": "a", "sise": 1}, 400, "sise: Extra inputs are not permitted"),
        ("POST", "/hosts/alpha/faults", {"faults": [{"fault": "damaged"}]}, 400, "`damaged` is no fault"),
        ("POST", "/hosts/alpha/faults", [], 400, "the body is a JSON object"),
        ("POST", "/registry/move", {"model": "qwen3:8b"}, 400, "`to` names the tag"),
        ("POST", "/registry/move", {"model": "qwen3:8b", "to": "none"}, 404, "manifest unknown"),
        ("POST", "/registry/remove", {"model": "none"}, 404, "manifest unknown"),
    ],
)
def test_control_says_what_is_wrong(method: str, path: str, body: Any, status: int, told: str) -> None:
    async def case(fleet: Fleet) -> None:
        found, words = await fleet.refused(method, path, body)
        assert (found, told in words) == (status, True)

    in_memory(case)


def test_the_whole_state_in_one_answer() -> None:
    async def case(fleet: Fleet) -> None:
        state = await fleet.control("GET", "/state")
        assert list(state["hosts"]) == ["alpha", "beta"]
        assert list(state["hosts"]["alpha"]["models"]) == ["qwen3:8b"]
        assert "phi4:14b" in state["registry"]["models"]
        addresses = await fleet.control("GET", "/")
        assert addresses["hosts"]["alpha"] == fleet.simulation.hosts["alpha"].url

    in_memory(case)


def test_a_restart_breaks_streams_that_are_open() -> None:
    async def case(fleet: Fleet) -> None:
        url = fleet.simulation.hosts["alpha"].url + "/api/pull"
        async with fleet.client.stream("POST", url, json={"model": "big"}) as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            await fleet.control("POST", "/hosts/alpha/restart")
            with pytest.raises(httpx2.TransportError):
                [line async for line in lines]

    in_memory(case, "hosts: {alpha: {}}\nregistry: {bandwidth: 10KB, models: {big: {size: 10MB}}}")


def test_inventory_names_urls_and_labels(tmp_path: Path) -> None:
    urls: list[str] = []

    async def case(fleet: Fleet) -> None:
        fleet.simulation.write_inventory(tmp_path / "hosts.yaml")
        urls.extend(host.url for host in fleet.simulation.hosts.values())

    in_memory(case)
    read = yaml.safe_load((tmp_path / "hosts.yaml").read_text())
    alpha = {"url": urls[0], "labels": {"tier": "prod"}}
    assert read["hosts"] == {"alpha": alpha, "beta": urls[1]}
    assert [path.name for path in tmp_path.iterdir()] == ["hosts.yaml"]


def test_an_inventory_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").mkdir()

    async def case(fleet: Fleet) -> None:
        with pytest.raises(OSError, match="directory"):
            fleet.simulation.write_inventory(tmp_path / "hosts.yaml")

    in_memory(case)
    assert [path.name for path in tmp_path.iterdir()] == ["hosts.yaml"]


@pytest.mark.parametrize(("model", "known"), [("phi4:14b", True), ("nope", False), ("not a name", False)])
def test_a_stalled_pull_tells_the_layer_of_the_registry(model: str, known: bool) -> None:
    async def case(fleet: Fleet) -> None:
        url = fleet.simulation.hosts["alpha"].url + "/api/pull"
        async with fleet.client.stream("POST", url, json={"model": model}) as reply:
            lines = reply.aiter_lines()
            told = [json.loads(await anext(lines)) for _ in range(3)]
        assert told[1] == told[2]
        assert (told[1]["total"], told[1]["completed"]) == ((8_000_000, 4_000_000) if known else (10**8, 5 * 10**7))

    in_memory(case, "hosts: {alpha: {faults: [{fault: stall}]}}")


def test_a_fault_may_take_weights_away_or_end_a_runner() -> None:
    async def case(fleet: Fleet) -> None:
        await fleet.host("alpha", "POST", "/api/generate", {"model": "qwen3:8b", "stream": False})
        assert len((await fleet.host("alpha", "GET", "/api/ps"))["models"]) == 1
        assert (await fleet.host("alpha", "GET", "/api/ps"))["models"] == []
        assert "error" in await fleet.host("alpha", "POST", "/api/show", {"model": "qwen3:8b"})
        assert "error" in await fleet.host("alpha", "POST", "/api/show", {"model": "nope"})

    faults = "[{fault: evict, model: qwen3, endpoint: ps, after: 1}, {fault: missing-blob, endpoint: show}]"
    in_memory(case, f"hosts: {{alpha: {{models: [qwen3:8b], faults: {faults}}}}}")


def test_over_sockets_everything_listens_and_a_pull_goes_through() -> None:
    async def case() -> None:
        async with Simulation(parse_scenario(SCENARIO)) as simulation, httpx2.AsyncClient() as client:
            alpha = simulation.hosts["alpha"].url
            lines = (await client.post(f"{alpha}/api/pull", json={"model": "qwen3:0.6b"})).text.splitlines()
            assert json.loads(lines[-1]) == {"status": "success"}
            assert (await client.get(f"{simulation.registry_url}/v2/")).status_code == 200
            await client.post(f"{simulation.control_url}/hosts/alpha/down")
            with pytest.raises(httpx2.ConnectError):
                async with httpx2.AsyncClient() as fresh:
                    await fresh.get(alpha)
            await client.post(f"{simulation.control_url}/hosts/alpha/up")
            async with httpx2.AsyncClient() as fresh:
                assert (await fresh.get(alpha)).text == "Ollama is running"

    asyncio.run(case())


def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    async def case() -> None:
        async with Simulation(Scenario().with_hosts(1)) as first:
            taken = first.hosts["host-1"].listener.port
            second = Simulation(Scenario().with_hosts(1), port=taken)
            with pytest.raises(OSError, match="in use"):
                await second.__aenter__()
            async with httpx2.AsyncClient() as client:
                with pytest.raises(httpx2.ConnectError):
                    await client.get(second.control_url)

    asyncio.run(case())
