"""`fleet snapshot` and `fleet rehearse`: the plan on copies of the hosts is the plan on the hosts themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fleet_command import FleetCommand
from tests.passes.registries import Asking
from tests.simulated import Simulated
from tests.weights import making

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "examples/manifests/tour"
SCENARIO = (ROOT / "examples/scenarios/tour.yaml").read_text(encoding="utf-8").replace("bandwidth: 12MB", "latency: 0")
ELSEWHERE = {"XDG_STATE_HOME": "/nonexistent/state"}
"""Of a machine where fleet never ran: what is known there is in the snapshot."""

DRIFTED = """
hosts:
  alpha: {version: 0.32.15}
  beta: {version: 0.9.6, models: {test-old: {size: 1MB}}}
  gone: {version: 0.24.0, down: true}
registry:
  models:
    base: {size: 1MB, quantization: F16, system: From the publisher., license: [Theirs]}
    pinned: {size: 1MB, indented: true}
    moving: {size: 1MB}
"""
MANIFEST = """
version: 1
models:
  base: {{warm: {{keep_alive: 1h}}}}
  pinned: {{pull: {{pin: "{pin}"}}}}
  moving: {{pull: {{update: always}}}}
  acme/tuned: {{create: {{files: [one.gguf], quantize: Q4_K_M}}, check: [{{prompt: Hi, expect: simulated}}]}}
  acme/brief: {{create: {{from: base, system: Be brief., license: [Ours]}}}}
  acme/short: {{create: {{from: acme/brief, parameters: {{temperature: {temperature}}}}}}}
  chat: {{alias: acme/short}}
  test-old: {{absent: true}}
"""


def rehearsed(
    fleet: Asking, *options: str, code: int = 0, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    ran = fleet("rehearse", "hosts.snapshot", "--offline", "-o", "json", *options, settings=environment)
    assert ran.code == code, ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def snapshot(fleet: Asking, *options: str, code: int = 0) -> str:
    """What the file says."""
    ran = fleet("snapshot", "--out", "hosts.snapshot", *options)
    assert ran.code == code, ran.stdout + ran.stderr
    return (fleet.command.folder / "hosts.snapshot").read_text(encoding="ascii")


def without_addresses(unobserved: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A snapshot names no address, so that of a host that does not answer is not told."""
    return [{**each, "message": each["message"].partition(": http:")[0]} for each in unobserved]


@pytest.mark.long
def test_the_tour_goes_on_the_hosts_as_it_was_rehearsed(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = Asking(run_fleet, simulate(SCENARIO), "-f", str(TOUR))
    snapshot(fleet)

    fleet.simulated.reset()
    rehearsal = rehearsed(fleet, "--detailed-exitcode", code=2, environment=ELSEWHERE)
    assert fleet.simulated.requests() == []
    assert fleet.asked() == {}

    applied = fleet.apply()
    assert rehearsal["steps"] == applied["steps"]
    assert len(rehearsal["steps"]) == 36
    ended = [(each["step"], each["outcome"]) for each in rehearsal["results"]]
    assert ended == [(each["step"], each["outcome"]) for each in applied["results"]]
    assert rehearsal["converges"]
    assert rehearsal["notes"] == []
    assert {each["host"]: each["downloads"] for each in rehearsal["transfers"]} == {
        host: sum(step["bytes_to_transfer"] for step in applied["steps"] if step["host"] == host)
        for host in ("gpu-a", "gpu-b", "gpu-c")
    }
    assert {each["host"]: {one["model"] for one in each["after"]} for each in rehearsal["memory"]} == {
        host: {runner["name"] for runner in fleet.simulated.state(host)["running"]}
        for host in ("gpu-a", "gpu-b", "gpu-c")
    }


@pytest.mark.long
def test_what_drifted_what_only_evidence_proves_and_what_cannot_be_had_are_rehearsed_as_they_are(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = Asking(run_fleet, simulate(DRIFTED), "--allow-unreachable", "1")
    run_fleet.folder.joinpath("one.gguf").write_bytes(making.model(general__name="one"))
    pin = fleet.served()["pinned:latest"]
    fleet.apply(manifest=MANIFEST.format(pin=pin, temperature=0.5))
    steer = fleet.simulated.post
    for name in ("pinned", "moving"):
        steer("/registry/add", {"model": name, "size": "2MB"})
    steer("/hosts/alpha/remove", {"model": "pinned"})
    steer("/hosts/alpha/remove", {"model": "chat"})
    steer("/hosts/beta/break", {"model": "base"})
    steer("/hosts/beta/seed", {"model": "acme/brief", "size": "1MB", "system": "Somebody else's."})
    steer("/hosts/beta/evict", {"model": "base"})
    steer("/hosts/beta/seed", {"model": "test-old", "size": "1MB"})

    file = snapshot(fleet, "-f", "ollama-fleet.yaml")
    for secret in ("Be brief", "Somebody else", "From the publisher", "http:", "127.0.0.1"):
        assert secret not in file

    changed = MANIFEST.format(pin=pin, temperature=0.7)
    plan = fleet.told("plan", manifest=changed, code=3)
    rehearsal = rehearsed(fleet, code=3, environment=ELSEWHERE)
    actions = {(step["host"], step["model"], step["action"], step["reason"]) for step in plan["steps"]}
    assert ("alpha", "acme/short:latest", "create", "inputs-changed") in actions
    assert ("beta", "acme/brief:latest", "create", "base-changes") in actions
    assert not {step["model"] for step in plan["steps"]} & {"acme/tuned:latest", "pinned:latest"}
    for part in ("steps", "blocked", "refused", "unverified", "hosts", "summary"):
        assert rehearsal[part] == plan[part], part
    assert rehearsal["unobserved"] == without_addresses(plan["unobserved"])
    assert [(each["host"], each["code"]) for each in rehearsal["blocked"]] == [("alpha", "FLT-313")]
    assert rehearsal["converges"]


def test_a_snapshot_without_manifests_serves_any_and_says_what_it_cannot_know(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = Asking(run_fleet, simulate(DRIFTED.replace(", down: true", ", models: [base]")))
    assert "From the publisher." in snapshot(fleet, "--show-content")

    manifest = "version: 1\nmodels:\n  base: {warm: true}\n  new: {where: name=gone}\n  test-old: {absent: true}\n"
    run_fleet.write("ollama-fleet.yaml", manifest)
    rehearsal = rehearsed(fleet, "--bandwidth", "400Mbit", environment=ELSEWHERE)
    assert [each for each in rehearsal["transfers"] if each["host"] == "gone"] == [
        {"host": "gone", "downloads": 5_000_000_000, "uploads": 0, "seconds": 100.0}
    ]
    (note,) = rehearsal["notes"]
    assert note.startswith("nothing tells what the registry serves as `new:latest`: it counts as 5.0 GB")
