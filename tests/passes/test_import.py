"""`fleet import` from hosts of every kind: what it writes plans to nothing there, before and after an apply."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.passes.test_tour import SCENARIO, TOUR
from tests.simulated import Simulated


def tour(versions: tuple[str, ...]) -> str:
    """The tour's three hosts, each of a version of its own."""
    scenario = SCENARIO.replace("bandwidth: 12MB", "latency: 0")
    for former, version in zip(("0.5.4", "0.9.6", "0.32.15"), versions, strict=True):
        scenario = scenario.replace(f"version: {former}\n", f"version: {version}\n")
    return scenario


def named(fleet: Simulated) -> list[str]:
    return [f"{name}={url}" for name, url in fleet.urls.items()]


@pytest.mark.parametrize("versions", [("0.5.4", "0.9.6", "0.32.15"), ("0.3.4", "0.12.6", "0.24.0")], ids=" ".join)
def test_what_is_written_plans_to_nothing(
    versions: tuple[str, ...], run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(tour(versions))
    made = run_fleet("apply", "-i", fleet.inventory(run_fleet.folder / "tour.yaml"), "-f", str(TOUR), "--yes")
    assert made.code == 0, made.stdout + made.stderr
    shutil.rmtree(run_fleet.folder / "state")  # as if fleet had never been there
    fleet.reset()

    ran = run_fleet("import", *named(fleet), "--out", "got")
    assert ran.code == 0, ran.stderr
    manifest = (run_fleet.folder / "got/models.yaml").read_text()
    assert manifest.startswith("# yaml-language-server: $schema=ollama-fleet.schema.json\n")
    assert "cannot be told" not in manifest, "the servers show enough of all that the tour makes"
    assert "  chat:latest:\n    alias: acme/assistant:latest\n" in manifest
    assert '    where: "name in (gpu-a,gpu-b)"\n    create:\n      from: llama3.1:8b\n' in manifest

    files = ("-i", "got/hosts.yaml", "-f", "got/models.yaml")
    planned = run_fleet("plan", *files, "--detailed-exitcode")
    assert planned.code == 0, planned.stdout + planned.stderr
    assert "26 items as desired on 3 hosts" in planned.stdout
    assert run_fleet("apply", *files, "--yes").code == 0
    assert run_fleet("plan", *files, "--detailed-exitcode").code == 0
    assert fleet.changing() == 0, "neither looking nor applying changed anything"
