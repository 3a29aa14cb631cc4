"""A made model is published from one host, once; and what the registry then serves is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fleet_command import FleetCommand
from tests.passes.registries import Asking, codes
from tests.simulated import Simulated

SCENARIO = """
hosts:
  gpu-a: {version: 0.32.15, models: {"base:1b": {size: 100KB}}}
  gpu-b: {version: 0.5.4, models: {"base:1b": {size: 100KB}}}
registry: {models: {"base:1b": {size: 100KB}}}
registries:
  reg.lan:5000: {token: true}
  mirror.lan: {mirror: true}
"""
REGISTRY = "reg.lan:5000"
MADE = f"{REGISTRY}/acme/made"


def manifest(system: str = "Hi", name: str = MADE) -> str:
    return f'version: 1\nmodels: {{"base:1b": , "{name}": {{create: {{from: "base:1b", system: {system}}}, push: true}}}}\n'


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> Asking:
    run_fleet.write("ollama-fleet.yaml", manifest())
    return Asking(run_fleet, simulate(SCENARIO))


def pushes(fleet: Asking) -> list[str]:
    """The hosts that pushed since the last reset."""
    return [request["host"] for request in fleet.simulated.requests() if request["kind"] == "push"]


def test_one_host_publishes_and_what_is_served_is_what_it_holds(fleet: Asking) -> None:
    fleet.apply()
    assert pushes(fleet) == ["gpu-a"]
    published = fleet.served(REGISTRY)["acme/made:latest"]
    assert fleet.as_desired()

    # Whose content differs by the age of its server pushes nothing of its own.
    assert fleet.as_desired("--host", "gpu-b")
    fleet.simulated.post("/hosts/gpu-a/down")
    assert fleet.told("plan", code=7)["steps"] == []
    fleet.simulated.post("/hosts/gpu-a/up")

    # Somebody else pushed to the name.
    fleet.simulated.post(f"/registries/{REGISTRY}/add", {"model": "acme/made", "size": "50KB"})
    told = fleet.apply()
    assert [(step["host"], step["action"], step["reason"]) for step in told["steps"]] == [
        ("gpu-a", "push", "published-differs")
    ]
    assert fleet.served(REGISTRY)["acme/made:latest"] == published


def test_a_push_that_fails_is_told_and_made_up_for(fleet: Asking) -> None:
    fleet.fault(REGISTRY, {"fault": "status", "status": 500, "endpoint": ["upload", "manifest_put"]})
    told = fleet.apply(code=3)
    assert [(each["host"], each["model"], each["action"]) for each in told["failures"]] == [
        ("gpu-a", f"{MADE}:latest", "push")
    ]
    assert told["counts"]["done"] == 2, "it is made all the same"
    fleet.fault(REGISTRY)
    told = fleet.apply()
    assert [(step["action"], step["reason"]) for step in told["steps"]] == [("push", "not-published")]
    assert fleet.as_desired()
    # A changed model is published anew.
    former = fleet.served(REGISTRY)
    fleet.apply(manifest=manifest("Ho"))
    assert fleet.served(REGISTRY) != former


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"fault": "lie-success"}, "FLT-225", "was pushed, and is not there: `reg.lan:5000` has no "),
        ({"fault": "error-line", "message": "unauthorized: access denied"}, "FLT-208", "`unauthorized: access denied`"),
    ],
    ids=["nothing came", "not its namespace"],
)
def test_what_a_push_really_came_to_is_told(fleet: Asking, fault: dict[str, Any], code: str, words: str) -> None:
    fleet.simulated.fault("gpu-a", {**fault, "endpoint": "push"})
    told = fleet.apply(code=3)
    assert codes(told, "failures") == {("gpu-a", f"{MADE}:latest", code)}
    assert words in told["failures"][0]["message"]


def test_a_registry_that_tells_fleet_nothing_is_pushed_to_once(fleet: Asking) -> None:
    fleet.fault(REGISTRY, {"fault": "status", "status": 401, "endpoint": "manifest"})
    told = fleet.apply(code=3)
    assert codes(told, "failures") == {("gpu-a", f"{MADE}:latest", "FLT-208")}
    assert "was pushed, and cannot be compared" in told["failures"][0]["message"]
    assert fleet.as_desired()


def test_where_nobody_can_publish_is_told_early_or_in_the_registrys_words(fleet: Asking) -> None:
    ran = fleet("validate", manifest=manifest(name="made"))
    assert ran.code == 4
    assert "`made:latest` has the namespace `library`, to which nobody can publish" in ran.stderr
    told = fleet.apply("--host", "gpu-b", code=3, manifest=manifest(name="mirror.lan/acme/made"))
    assert "this registry is a mirror and takes no pushes" in told["failures"][0]["message"]
