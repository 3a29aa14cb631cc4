"""Every example is validated, planned and applied, on simulated hosts that are as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

MANIFESTS = Path(__file__).parents[2] / "examples/manifests"
FOR_ONE_HOST = sorted(path.name for path in MANIFESTS.glob("*.yaml"))
SITES: dict[str, dict[str, Any]] = {
    **{f"tyo-0{n}": {"group": "tokyo"} for n in (1, 2, 3)},
    "tyo-04": {"group": "tokyo", "labels": {"role": "rag"}, "capacity": {"vram": "96GB"}},
    "osa-a": {"group": "osaka"},
    "osa-b": {"group": "osaka"},
    "osa-c": {"group": "osaka", "suspend": "waiting for a new fan"},
}
"""The hosts of the example `sites`, written out, so that each can be given a simulated address."""


def steps_of(run_fleet: FleetCommand, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Validate, plan, apply, and a plan with nothing in it."""
    for verb, code in ((("validate",), 0), (("plan", "--detailed-exitcode"), 2), (("apply", "--yes"), 0)):
        ran = run_fleet(*verb, *arguments, environment=environment)
        assert ran.code == code, ran.stdout + ran.stderr
    ran = run_fleet("plan", "--detailed-exitcode", *arguments, environment=environment)
    assert ran.code == 0, ran.stdout + ran.stderr


def test_there_is_no_example_that_nothing_runs() -> None:
    found = {path.relative_to(MANIFESTS).parts[0] for path in MANIFESTS.rglob("*.yaml")}
    assert found == {*FOR_ONE_HOST, "airgap", "modelfiles", "sites", "tour"}


@pytest.mark.parametrize("version", ["0.5.4", "0.32.15"])
@pytest.mark.parametrize("name", FOR_ONE_HOST)
def test_an_example_for_the_one_host_of_ollama_host(
    name: str, version: str, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(f"hosts: {{here: {{version: {version}}}}}")
    steps_of(run_fleet, "-f", str(MANIFESTS / name), environment={"OLLAMA_HOST": fleet.urls["here"]})


def test_models_made_from_files_on_four_ages_of_servers(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    scenario = MANIFESTS.parent / "scenarios/modelfiles.yaml"
    fleet = simulate(scenario.read_text(encoding="utf-8"))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    steps_of(run_fleet, "-i", inventory, "-f", str(MANIFESTS / "modelfiles"))
    oldest, newest = fleet.state("gpu-a")["models"], fleet.state("gpu-d")["models"]
    assert newest.keys() - oldest.keys() == {"acme/rendered:latest", "acme/drafted:latest"}
    for models in (oldest, newest):
        assert models["acme/tiny:latest"]["digest"] == models["acme/tiny:fields"]["digest"], (
            "two ways to write one model"
        )
        assert models["chat:latest"]["digest"] == models["acme/style:latest"]["digest"]
    weights = {digest for host in fleet.urls for digest in fleet.uploads(host)}
    assert len(weights) == 4
    assert all(count == 1 for host in fleet.urls for count in fleet.uploads(host).values())


def test_the_two_sites(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> None:
    written: dict[str, Any] = yaml.safe_load((MANIFESTS / "sites/inventory.yaml").read_text(encoding="utf-8"))
    assert set(written["hosts"]) == {"tyo-[01:03]", "osa-[a:b]", "tyo-04", "osa-c"}
    for name in ("tyo-04", "osa-c"):
        assert written["hosts"][name] == SITES[name]
    fleet = simulate("hosts: {" + ", ".join(f"{name}: " for name in SITES) + "}")
    written["hosts"] = {name: {**host, "url": fleet.urls[name]} for name, host in SITES.items()}
    inventory = run_fleet.write("hosts.yaml", yaml.safe_dump(written))
    steps_of(run_fleet, "-i", str(inventory), "-f", str(MANIFESTS / "sites/models.yaml"))
    assert fleet.names("osa-c") == set(), "a suspended host is never changed"
    assert "llama3.3:70b" in fleet.names("tyo-04")
    assert "llama3.3:70b" not in fleet.names("tyo-01")
    assert "phi4:14b" in fleet.names("tyo-01")
    assert "phi4:14b" not in fleet.names("tyo-04")
