"""`fleet apply --metrics-file`, by the installed command against a simulated fleet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.daemon.metrics.test_exposition import Scraped
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

SCENARIO = """
hosts:
  gpu-a: {}
  gpu-b: {}
registry:
  models: [qwen3:8b, nomic-embed-text]
  bandwidth: 20MB  # of what is there at the first look nothing is counted
"""
MANIFEST = """
version: 1
models:
  qwen3:8b:
  nomic-embed-text:
"""


def test_apply_writes_what_it_did_and_how_hosts_stand(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated], tmp_path: Path
) -> None:
    simulated = simulate(SCENARIO)
    inventory = simulated.inventory(tmp_path / "hosts.yaml")
    command = ("apply", "-i", inventory, "--yes", "--metrics-file", "fleet.prom")

    first = run_fleet(*command, manifest=MANIFEST)
    assert first.code == 0, first.stderr
    found = Scraped((tmp_path / "fleet.prom").read_bytes())
    assert found("steps_total", action="pull", outcome="done") == 4
    assert found("items", host="gpu-a", condition="ready") == 2
    assert found("host_reachable", host="gpu-b") == 1
    assert found("passes_total", outcome="changed") == 1
    assert (found("bytes_received_total") or 0) > 0
    success = found("last_success_timestamp_seconds")

    simulated.fault("gpu-b", {"fault": "unreachable"})
    second = run_fleet(*command)
    assert second.code == 7, second.stderr
    again = Scraped((tmp_path / "fleet.prom").read_bytes())
    assert again("steps_total", action="pull", outcome="done") == 4
    assert again("host_reachable", host="gpu-b") == 0
    assert again("host_last_converged_timestamp_seconds", host="gpu-b") == found(
        "host_last_converged_timestamp_seconds", host="gpu-b"
    )
    assert (again("last_success_timestamp_seconds") or 0) > (success or 0)


def test_a_place_that_cannot_be_written_is_refused_before_any_host_is_asked(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated], tmp_path: Path
) -> None:
    simulated = simulate(SCENARIO)
    inventory = simulated.inventory(tmp_path / "hosts.yaml")

    ran = run_fleet(
        "apply", "-i", inventory, "--yes", "--metrics-file", "not/there/fleet.prom", manifest=MANIFEST
    )  # fmt: skip

    assert ran.code == 1
    assert "metrics cannot be written: not/there/fleet.prom: its folder is not there" in ran.stderr
    assert simulated.requests() == []
