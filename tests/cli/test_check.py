"""`fleet check`: which models answer as their entries want, and what a later pass makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

SCENARIO = """
hosts:
  alpha: {version: 0.9.6, models: {good:1: {size: 1MB}, slow:1: {size: 1MB, seed: x}, broken:1: {size: 1MB, seed: y}}}
  beta: {version: 0.32.15, models: {good:1: {size: 1MB}}, down: true}
"""
MANIFEST = """
version: 1
models:
  good:1:
    check:
      - {prompt: "Say OK.", expect: "(?i)simulated\\\\] ok", options: {temperature: 0}, within: 60s}
      - {chat: [{role: user, content: "2+2?"}], format: json}
  slow:1: {where: name=alpha, check: [{prompt: Hi, within: 200ms}]}
  broken:1: {where: name=alpha, check: [{prompt: Hi}]}
"""
HASTY = {"OLLAMA_FLEET_RETRY_TRIES": "1"}


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> Simulated:
    """The manifest and the inventory lie in the command's folder."""
    simulated = simulate(SCENARIO)
    simulated.inventory(run_fleet.folder / "hosts.yaml")
    simulated.post("/hosts/alpha/break", {"model": "broken:1"})
    simulated.fault("alpha", {"fault": "slow", "delay": "5s", "endpoint": "generate", "model": "slow:1"})
    run_fleet.write("ollama-fleet.yaml", MANIFEST)
    return simulated


def checked(run_fleet: FleetCommand, *options: str) -> tuple[int, dict[tuple[str, str], tuple[str, str | None]]]:
    """The exit code; verdict and code by host and model."""
    ran = run_fleet("check", "-i", "hosts.yaml", "-o", "json", *options, environment=HASTY)
    models = json.loads(ran.stdout)["models"]
    return ran.code, {(each["host"], each["model"]): (each["verdict"], each["code"]) for each in models}


def test_every_kind_of_verdict(run_fleet: FleetCommand, fleet: Simulated) -> None:
    assert checked(run_fleet) == (
        3,
        {
            ("alpha", "broken:1"): ("not-asked", "FLT-218"),
            ("alpha", "good:1"): ("passed", None),
            ("alpha", "slow:1"): ("failed", "FLT-224"),
            ("beta", "good:1"): ("not-asked", "FLT-101"),
        },
    )
    text = run_fleet("check", "-i", "hosts.yaml", "--host", "alpha", "--model", "slow")
    assert "prompt `Hi`: no whole answer within 200ms (FLT-224)" in text.stdout
    assert "0 of 1 model passed, 1 failed" in text.stdout

    fleet.heal("alpha")
    code, verdicts = checked(run_fleet, "--model", "slow")
    assert (code, verdicts) == (0, {("alpha", "slow:1"): ("passed", None)}), "asking again cures it"
    assert checked(run_fleet, "--model", "good")[0] == 7, "what could be looked at is well"
    assert checked(run_fleet, "--model", "good", "--allow-unreachable", "1")[0] == 0


def test_what_came_of_it_is_remembered(run_fleet: FleetCommand, fleet: Simulated) -> None:
    manifest = 'version: 1\nmodels: {slow:1: {check: [{prompt: Hi, within: 200ms}]}, chat: {alias: "slow:1"}}\n'
    run_fleet.write("ollama-fleet.yaml", manifest)
    options = ("-i", "hosts.yaml", "--host", "alpha")
    assert run_fleet("check", *options).code == 3
    blocked = run_fleet("plan", *options)
    assert blocked.code == 3
    assert "failed its check" in blocked.stdout
    fleet.heal("alpha")
    assert run_fleet("check", *options).code == 0
    assert run_fleet("apply", *options, "--yes").code == 0
    assert "chat:latest" in fleet.names("alpha")


@pytest.mark.usefixtures("fleet")
def test_nothing_to_ask(run_fleet: FleetCommand) -> None:
    ran = run_fleet("check", "-i", "hosts.yaml", manifest="version: 1\nmodels: {good:1: }\n")
    assert (ran.code, ran.stdout) == (0, "Nothing to ask: no model that is chosen has a `check`\n")
