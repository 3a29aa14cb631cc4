"""What a name holds is kept while it is replaced: until the new content is verified, and through every failure."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts:
  alpha:
    version: 0.9.6
    models:
      base:1b: {size: 1MB, seed: base}
      moved:1b: {size: 1MB, seed: former}
      acme/made: {size: 1MB, seed: base, system: Former.}
      chat: {size: 1MB, seed: former}
registry: {models: {"base:1b": {size: 1MB, seed: base}, "moved:1b": {size: 1MB, seed: new}}}
"""
MADE = 'version: 1\nmodels:\n  base:1b:\n  acme/made: {create: {from: "base:1b", system: New.}}\n'
PINNED = 'version: 1\nmodels: {"moved:1b": {pull: {pin: "sha256:%s"}}}\n'
ALIAS = 'version: 1\nmodels: {"base:1b": {}, chat: {alias: "base:1b"}}\n'
QUICK = {"OLLAMA_FLEET_RETRY_WAIT": "1ms", "OLLAMA_FLEET_ANSWER_DEADLINE": "2s"}


@pytest.fixture
def alpha(run_fleet: FleetCommand, simulate: Simulate) -> Simulated:
    fleet = simulate(SCENARIO)
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    return fleet


def apply(run_fleet: FleetCommand, manifest: str, *more: str) -> tuple[int, str]:
    ran = run_fleet(
        "apply", "-i", "hosts.yaml", "-f", "ollama-fleet.yaml", "--yes", *more, manifest=manifest, environment=QUICK
    )
    return ran.code, ran.stdout + ran.stderr


def digests(fleet: Simulated) -> dict[str, str]:
    return {name: model["digest"] for name, model in fleet.state("alpha")["models"].items()}


@pytest.mark.parametrize(
    ("name", "manifest", "endpoint"),
    [
        ("acme/made:latest", MADE, "create"),
        ("moved:1b", PINNED % ("0" * 64), "pull"),
        ("chat:latest", ALIAS, "delete"),
    ],
)
def test_the_former_content_is_copied_before_anything_is_changed(
    run_fleet: FleetCommand, alpha: Simulated, name: str, manifest: str, endpoint: str
) -> None:
    before = digests(alpha)[name]
    apply(run_fleet, manifest)
    changing = [
        r
        for r in alpha.requests()
        if r["kind"] in {"copy", "create", "pull", "delete"} and r["client"] == "ollama-fleet"
    ]
    assert changing[0]["kind"] == "copy"
    assert endpoint in [request["kind"] for request in changing[1:]]
    assert changing[-1]["kind"] == "delete", "the backup goes last"
    assert not [listed for listed in digests(alpha) if listed.startswith("fleet-backup/")]
    assert (digests(alpha)[name] == before) == (name == "moved:1b")


@pytest.mark.fault("R5")
def test_a_pull_of_another_content_than_pinned_is_taken_back(run_fleet: FleetCommand, alpha: Simulated) -> None:
    before = digests(alpha)
    code, told = apply(run_fleet, PINNED % ("0" * 64))
    assert code == 3
    assert "the pull brought sha256:" in told
    assert "only sha256:000000000000 may be installed; the former content was put back (FLT-223)" in told
    assert digests(alpha) == before


@pytest.mark.fault("R5")
def test_what_was_not_there_is_not_left_behind_either(run_fleet: FleetCommand, alpha: Simulated) -> None:
    alpha.post("/hosts/alpha/remove", {"model": "moved:1b"})
    before = digests(alpha)
    code, told = apply(run_fleet, PINNED % ("0" * 64))
    assert code == 3
    assert "FLT-223" in told
    assert digests(alpha) == before


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "error-then-success", "endpoint": "create"},
        {"fault": "lie-success", "endpoint": "create"},
        {"fault": "status", "status": 500, "endpoint": "create"},
        {"fault": "full-disk", "endpoint": "create"},
    ],
    ids=lambda fault: str(fault["fault"]),
)
def test_a_create_that_fails_leaves_the_former_model_and_nothing_else(
    run_fleet: FleetCommand, alpha: Simulated, fault: dict[str, object]
) -> None:
    before = digests(alpha)
    alpha.fault("alpha", fault)
    assert apply(run_fleet, MADE)[0] == 3
    assert digests(alpha) == before


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.fault("K1")
def test_a_run_killed_in_the_middle_is_finished_by_the_next(
    run_fleet: FleetCommand, alpha: Simulated, signalled: signal.Signals
) -> None:
    before = digests(alpha)["acme/made:latest"]
    alpha.fault("alpha", {"fault": "silence", "endpoint": "create"})
    run_fleet.write("ollama-fleet.yaml", MADE)
    arguments = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml", "--yes", "-o", "jsonl")
    with run_fleet.start("apply", *arguments, environment={**QUICK, "OLLAMA_FLEET_GRACE": "0"}) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if '"step-begun"' in line)
        while not any(name.startswith("fleet-backup/") for name in digests(alpha)):
            assert process.poll() is None
        os.kill(process.pid, signalled)
        process.wait(timeout=20)
    held = digests(alpha)
    assert held["acme/made:latest"] == before
    assert [held[name] for name in held if name.startswith("fleet-backup/made-")] == [before]

    alpha.heal("alpha")
    assert apply(run_fleet, MADE)[0] == 0
    assert {name for name in digests(alpha) if name.startswith("fleet-backup/")} == set()
    assert alpha.state("alpha")["models"].keys() == {"base:1b", "moved:1b", "acme/made:latest", "chat:latest"}


def test_a_backup_that_outlived_its_run_goes_once_the_model_is_as_desired(
    run_fleet: FleetCommand, alpha: Simulated
) -> None:
    assert apply(run_fleet, MADE)[0] == 0
    alpha.post("/hosts/alpha/seed", {"model": "fleet-backup/made-2a0f1f5e3c11", "seed": "x", "size": "1MB"})
    code, told = apply(run_fleet, MADE)
    assert (code, "Nothing to do" in told) == (0, True), "no backup of any model that is declared here"


def test_in_place_keeps_nothing(run_fleet: FleetCommand, alpha: Simulated) -> None:
    assert apply(run_fleet, MADE.replace("create:", "replace: in-place, create:"))[0] == 0
    assert [request["kind"] for request in alpha.requests() if request["kind"] in {"copy", "delete"}] == []


def test_a_run_killed_behind_a_wrong_pull_leaves_nothing_that_nobody_accepted(
    run_fleet: FleetCommand, alpha: Simulated
) -> None:
    """The tag moved, the pull is through, and what came was not taken back yet."""
    alpha.post("/hosts/alpha/remove", {"model": "moved:1b"})
    before = digests(alpha)
    alpha.fault("alpha", {"fault": "silence", "endpoint": "show", "model": "moved:1b"})
    run_fleet.write("ollama-fleet.yaml", PINNED % ("0" * 64))
    with run_fleet.start(
        "apply",
        "-i",
        "hosts.yaml",
        "-f",
        "ollama-fleet.yaml",
        "--yes",
        environment={"OLLAMA_FLEET_ANSWER_DEADLINE": "60s"},
    ) as process:
        while "moved:1b" not in digests(alpha):
            assert process.poll() is None
        process.kill()
        process.wait(timeout=20)
    alpha.heal("alpha")
    body = json.dumps({"model": "moved:1b", "keep_alive": "1h"}).encode()
    urllib.request.urlopen(f"{alpha.urls['alpha']}/api/generate", body, timeout=20).close()
    ran = run_fleet(
        "apply",
        "-i",
        "hosts.yaml",
        "-f",
        "ollama-fleet.yaml",
        "--yes",
        environment={**QUICK, "OLLAMA_FLEET_ASK_REGISTRIES": "true"},
    )
    assert ran.code == 3
    assert "FLT-313" in ran.stdout
    assert digests(alpha) == before
    kinds = [request["kind"] for request in alpha.requests()]
    assert "unload" in kinds[: kinds.index("delete")], "somebody had loaded it meanwhile"
