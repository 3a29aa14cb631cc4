"""The tour's manifests, applied to every kind of server: done once, and nothing to do after that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "examples/manifests/tour"
SCENARIO = (ROOT / "examples/scenarios/tour.yaml").read_text(encoding="utf-8")
VERSIONS = ("0.3.4", "0.9.6", "0.32.15")
OTHERS = tuple(
    pytest.param(version, marks=pytest.mark.long) for version in ("0.5.4", "0.5.5", "0.12.6", "0.18.3", "0.24.0")
)


def all_of(version: str) -> str:
    """The tour's hosts, all of one version, with the labels that tell what such a server takes."""
    numbers = tuple(int(part) for part in version.split("."))
    scenario = re.sub(r"version: \S+", f"version: {version}", SCENARIO.replace("bandwidth: 12MB", "latency: 0"))
    scenario = re.sub(r', renderers: "yes", requires: "yes"', "", scenario)
    labels = ', renderers: "yes"' if numbers >= (0, 12, 0) else ""
    labels += ', requires: "yes"' if numbers >= (0, 14, 0) else ""
    return re.sub(r"(labels: \{[^}]*)\}", rf"\1{labels}}}", scenario)


@pytest.mark.parametrize("version", [*VERSIONS, *OTHERS])
def test_the_tour_converges_at_once_and_then_changes_nothing(
    version: str, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(all_of(version))
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(TOUR))

    applied = run_fleet("apply", *files, "--yes", "-o", "json")
    assert applied.code == 0, applied.stdout + applied.stderr
    assert json.loads(applied.stdout)["counts"]["failed"] == 0

    fleet.reset()
    again = run_fleet("apply", *files, "--yes")
    assert again.code == 0, again.stdout + again.stderr
    assert "Nothing to do" in again.stdout
    assert fleet.changing() == 0, [r for r in fleet.requests() if r["method"] != "GET"]


@pytest.mark.parametrize("version", ["0.5.4", "0.32.15"])
def test_what_the_hosts_hold_afterwards_is_what_was_written(
    version: str, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(all_of(version))
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(TOUR))
    assert run_fleet("apply", *files, "--yes").code == 0

    held = fleet.state("gpu-b")["models"]
    assert set(held) == {
        "llama3.1:8b",
        "qwen3:8b",
        "acme/assistant:latest",
        "acme/reviewer:latest",
        "acme/greeter:latest",
        "default:latest",
        "chat:latest",
        "chat:stable",
    }
    assert held["default:latest"]["digest"] == held["llama3.1:8b"]["digest"]
    assert held["chat:stable"]["digest"] == held["acme/assistant:latest"]["digest"]
    assert fleet.names("gpu-c") - fleet.names("gpu-b") == {"nomic-embed-text:latest"}
    assert {runner["name"] for runner in fleet.state("gpu-b")["running"]} == {"llama3.1:8b"}


def test_the_tour_in_the_package_is_the_one_among_the_examples() -> None:
    package = ROOT / "fleet/simulate"
    for example in TOUR.iterdir():
        assert example.read_bytes() == (package / "tour" / example.name).read_bytes()
    assert {file.name for file in TOUR.iterdir()} == {file.name for file in (package / "tour").iterdir()}
    assert (ROOT / "examples/scenarios/tour.yaml").read_bytes() == (package / "tour.yaml").read_bytes()
