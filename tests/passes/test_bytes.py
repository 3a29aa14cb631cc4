"""A plan says beforehand how much is going to be moved, and no run without faults moves more (`make faults`, I12)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

MODELS = """
version: 1
models:
  big:1b:
  twin:1b:
  acme/made: {create: {from: big:1b, system: Brief.}}
  chat: {alias: acme/made}
"""
SCENARIO = """
hosts: {new: {version: 0.32.15}, old: {version: 0.5.4}}
registry: {bandwidth: 20MB, models: {big:1b: {size: 3MB, seed: one}, twin:1b: {size: 3MB, seed: one, system: Twin.}}}
"""


@pytest.mark.invariant("I12")
def test_what_is_moved_is_no_more_than_was_planned(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(SCENARIO)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-o", "json")
    asking = {"OLLAMA_FLEET_ASK_REGISTRIES": "true"}
    planned = json.loads(run_fleet("plan", *files, manifest=MODELS, environment=asking).stdout)
    pulls = [step for step in planned["steps"] if step["action"] == "pull"]
    said = {(step["host"], step["model"]): step["bytes_to_transfer"] for step in pulls}

    applied = json.loads(run_fleet("apply", *files, "--yes", environment=asking).stdout)

    assert applied["exit_code"] == 0
    moved = {(each["host"], each["model"]): each["bytes"] for each in applied["results"] if each["action"] == "pull"}
    assert moved.keys() == said.keys()
    assert all(moved[pull] <= said[pull] for pull in moved), (moved, said)
    assert moved["new", "big:1b"] > 0
    assert said["new", "twin:1b"] < 1_000_000 < said["new", "big:1b"], "equal weights are moved once"
