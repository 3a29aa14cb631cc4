"""Further registries with contents of their own, tokens that everybody gets, and who asked for what."""

from __future__ import annotations

import pytest

from fleet.simulate.scenario import parse_scenario
from fleet.simulate.scenario_yaml import ScenarioError
from tests.simulate.server.test_simulation import Fleet, in_memory

AIR_GAP = """
hosts: {old: {version: 0.5.4}, new: {}}
registry: {names: []}
registries:
  Mirror.lan:5000: {models: {qwen3:8b: {size: 200KB}}, mirror: true, token: true}
  upstream.test: {models: {qwen3:8b: {size: 300KB}}, hidden: true}
"""


async def last(fleet: Fleet, host: str, model: str, *, insecure: bool = False) -> str:
    lines = await fleet.host(host, "POST", "/api/pull", {"model": model, "insecure": insecure})
    return str(lines[-1].get("status") or lines[-1]["error"])


@pytest.mark.parametrize("host", ["old", "new"])
@pytest.mark.parametrize("insecure", [False, True])
def test_hosts_get_a_token_from_the_registry_that_wants_one(host: str, insecure: bool) -> None:
    async def case(fleet: Fleet) -> None:
        assert await last(fleet, host, "mirror.lan:5000/library/qwen3:8b", insecure=insecure) == "success"
        counted = (await fleet.control("GET", "/counters"))["registries"]["mirror.lan:5000"]
        assert counted["total"]["token"] >= 1
        assert list(counted["clients"]) == ["ollama"]

    in_memory(case, AIR_GAP)


def test_hosts_reach_no_other() -> None:
    async def case(fleet: Fleet) -> None:
        for name in ("qwen3:8b", "upstream.test/library/qwen3:8b"):
            assert "no such host" in await last(fleet, "new", name)
        url = fleet.simulation.registry_urls()["upstream.test"]
        reply = await fleet.client.get(f"{url}/v2/library/qwen3/manifests/8b", headers={"User-Agent": "me/1"})
        assert reply.status_code == 200
        counted = (await fleet.control("GET", "/counters"))["registries"]["upstream.test"]
        assert counted["clients"] == {"me": {"manifest": 1}}
        (asked,) = [each for each in (await fleet.control("GET", "/requests"))["requests"] if each["client"] == "me"]
        assert asked["host"] == "upstream.test"

    in_memory(case, AIR_GAP)


def test_each_has_contents_and_tags_of_its_own() -> None:
    async def case(fleet: Fleet) -> None:
        at = "/registries/mirror.lan:5000"
        mirrored = (await fleet.control("GET", f"{at}/state"))["models"]
        upstream = (await fleet.control("GET", "/registries/upstream.test/state"))["models"]
        assert mirrored.keys() == upstream.keys() == {"qwen3:8b"}
        assert mirrored != upstream
        await fleet.control("POST", f"{at}/add", {"model": "qwen3:new", "size": "100KB"})
        moved = await fleet.control("POST", f"{at}/move", {"model": "qwen3:8b", "to": "new"})
        assert await last(fleet, "new", "mirror.lan:5000/library/qwen3:8b") == "success"
        tags = await fleet.host("new", "GET", "/api/tags")
        assert tags["models"][0]["digest"] == moved["digest"]
        await fleet.control("POST", f"{at}/faults", {"faults": [{"fault": "status", "status": 429}]})
        assert "429" in await last(fleet, "old", "mirror.lan:5000/library/qwen3:8b")
        assert (await fleet.control("GET", "/registry/faults"))["faults"] == []
        assert await fleet.refused("GET", "/registries/none.test/state") == (
            404,
            "no registry `none.test` in this simulation",
        )

    in_memory(case, AIR_GAP)


def test_a_realm_elsewhere_is_refused_by_newer_hosts() -> None:
    async def case(fleet: Fleet) -> None:
        assert "realm host" in await last(fleet, "new", "team.test/a/b")

    in_memory(
        case,
        "hosts: {new: {}}\nregistries: {team.test: {models: [a/b], token: true, realm: 'https://evil.test/token'}}",
    )


def test_the_registry_itself_can_want_a_token() -> None:
    async def case(fleet: Fleet) -> None:
        assert await last(fleet, "new", "qwen3:8b") == "success"
        reply = await fleet.client.get(f"{fleet.simulation.registry_url}/v2/library/qwen3/manifests/8b")
        assert reply.status_code == 401
        assert f'realm="{fleet.simulation.registry_url}/token"' in reply.headers["www-authenticate"]

    in_memory(case, "hosts: {new: {}}\nregistry: {token: true}")


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("registries: {hf.co: {}}", "`hf.co` is among the `names`"),
        ("hosts: {a: {}}\nregistries: {a: {}}", "`a` is a registry and something else"),
        ("registries: {registry: {}}", "`registry` is a registry and something else"),
        ("registries: {'a/b': {}}", "`a/b` is no registry"),
        ("registries: {a.test: {names: [b]}}", "Extra inputs"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(scenario: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        parse_scenario(scenario)


def test_a_model_held_from_the_start_is_as_that_server_would_have_pulled_it() -> None:
    async def case(fleet: Fleet) -> None:
        held = {host: (await fleet.host(host, "GET", "/api/tags"))["models"][0]["digest"] for host in ("old", "new")}
        assert held["old"] != held["new"]
        for host, digest in held.items():
            assert await last(fleet, host, "own") == "success"
            assert (await fleet.host(host, "GET", "/api/tags"))["models"][0]["digest"] == digest

    in_memory(
        case,
        "hosts: {old: {version: 0.18.3, models: [own]}, new: {version: 0.19.0, models: [own]}}\n"
        "registry: {models: {own: {size: 50KB, indented: true}}}",
    )


def test_fixed_ports_follow_the_registrys() -> None:
    from fleet.simulate.memory import MemoryTransport
    from fleet.simulate.server import Simulation

    scenario = parse_scenario("hosts: {a: {}}\nregistries: {b.test: {}}")
    fixed = Simulation(scenario, registry_port=11490, network=MemoryTransport())
    assert fixed.registry_name == "localhost:11490"
    assert list(fixed.registry_urls().values()) == [f"http://127.0.0.1:{port}" for port in range(11491, 11495)]
