"""Models in memory: what does not fit, what others want too, and what is in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fleet.codes import Code
from fleet.daemon.status import Condition
from fleet.manifest.inventory import Capacity
from fleet.reconcile.plan import plan
from fleet.reconcile.warm import warmths
from fleet.render.status import status_text
from fleet.render.words import offloaded
from tests.daemon.test_judging import HOST, stands
from tests.fleet_command import FleetCommand
from tests.reconcile import notation
from tests.reconcile.test_warm import looked_at
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

QUICK = {"OLLAMA_FLEET_RETRY_WAIT": "1ms", "OLLAMA_FLEET_LOAD_TIMEOUT": "1s"}
NO_MEMORY = '{"error":"model requires more system memory (40.0 GiB) than is available (8.0 GiB)"}'
BUSY = '{"error":"server busy, please try again.  maximum pending requests exceeded"}'


def load(**fault: object) -> dict[str, object]:
    return {"endpoint": "load", **fault}


def models(*names: str) -> dict[str, Any]:
    return {name: {"size": 4096 + number} for number, name in enumerate(names)}


def run(run_fleet: FleetCommand, inventory: str, *more: str, manifest: str) -> tuple[int, dict[str, Any], str]:
    ran = run_fleet("apply", "-i", inventory, "--yes", "-o", "json", *more, manifest=manifest, environment=QUICK)
    return ran.code, json.loads(ran.stdout), ran.stderr


@pytest.mark.fault("W1")
def test_a_release_that_finds_no_memory_ends_loading_there_as_well(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate(json.dumps({"hosts": {"full": {"models": models("kept:1b", "new:1b")}}}))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    assert run(run_fleet, inventory, manifest="version: 1\nmodels: {'kept:1b': {warm: true}}\n")[0] == 0
    fleet.reset()
    fleet.fault("full", load(fault="status", status=500, body=NO_MEMORY))
    code, told, _ = run(run_fleet, inventory, manifest="version: 1\nmodels: {'kept:1b': , 'new:1b': {warm: true}}\n")
    assert code == 3
    ended = {(each["action"], each["model"]): each["outcome"] for each in told["results"]}
    assert ended == {("release", "kept:1b"): "failed", ("load", "new:1b"): "not-tried"}
    assert [each["model"] for each in fleet.requests() if each["kind"] == "load"] == ["kept:1b"]


@pytest.mark.fault("W1", "W5", "W7")
def test_a_load_that_fails_is_told_with_what_it_cost_and_ends_loading_there(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    """`full` throws out what is warm before it refuses, `busy` has better things to do, `hung` never answers."""
    there = models("kept:1b", "new:1b", "new:2b")
    hosts = {name: {"models": there} for name in ("full", "busy", "hung", "fine")}
    fleet = simulate(json.dumps({"hosts": hosts}))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    warm = "{warm: true}"
    one = f"version: 1\nmodels: {{'kept:1b': {warm}}}\n"
    assert run(run_fleet, inventory, manifest=one)[0] == 0
    fleet.reset()
    # Looked at once for the plan and once just before the load.
    fleet.fault(
        "full",
        {"fault": "evict", "endpoint": "tags", "model": "kept:1b", "after": 1},
        load(fault="status", status=500, body=NO_MEMORY),
    )
    fleet.fault("busy", load(fault="status", status=503, body=BUSY))
    fleet.fault("hung", load(fault="silence", headers=False, model="new:1b"))
    all_warm = f"version: 1\nmodels: {{'kept:1b': {warm}, 'new:1b': {warm}, 'new:2b': {warm}}}\n"
    code, told, stderr = run(run_fleet, inventory, manifest=all_warm)
    assert code == 3
    ended = {(each["host"], each["model"]): each["outcome"] for each in told["results"]}
    assert ended == {
        ("full", "new:1b"): "failed",
        ("full", "new:2b"): "not-tried",
        ("busy", "new:1b"): "failed",
        ("busy", "new:2b"): "failed",
        ("hung", "new:1b"): "unknown",
        ("hung", "new:2b"): "done",
        ("fine", "new:1b"): "done",
        ("fine", "new:2b"): "done",
    }
    codes = {(each["host"], each["model"]): each["code"] for each in told["failures"] if each["outcome"] != "not-tried"}
    assert codes == {
        ("full", "new:1b"): "FLT-214",
        ("full", "kept:1b"): "FLT-219",
        **{("busy", f"new:{number}b"): "FLT-111" for number in (1, 2)},
        ("hung", "new:1b"): "FLT-103",
    }
    assert "`full` had in memory `kept:1b` before it ran out of it, and has nothing now" in stderr
    loads = [each["host"] for each in fleet.requests() if each["kind"] == "load"]
    assert (loads.count("full"), loads.count("busy"), loads.count("hung")) == (1, 2 * 3, 2), "no busy loop"


@pytest.mark.fault("W8")
@pytest.mark.parametrize(
    ("runner", "gpu", "told"),
    [
        ({"size": 10**9, "vram": 10**9}, None, ""),
        ({"size": 10**9, "vram": 4 * 10**8}, None, "600 MB of it is on the CPU (FLT-242)"),
        ({"size": 10**9, "vram": 0}, None, ""),
        ({"size": 10**9, "vram": 0}, 10**10, "1.0 GB of it is on the CPU (FLT-242)"),
    ],
    ids=["on the GPU", "in part", "no GPU", "none of it on a GPU that is there"],
)
def test_a_model_that_is_not_wholly_on_the_gpu_is_told_and_left(
    runner: dict[str, Any], gpu: int | None, told: str
) -> None:
    about = {"models": {"a:1": "a"}, "runners": [{"name": "a:1", "is": "a", **runner}]}
    differences, observed = looked_at({"a:1": {"warm": True}}, about)
    (found,) = warmths(differences, observed, replace(Capacity(), vram=gpu), {}).values()
    assert found.state == "as-desired"
    assert (offloaded(found) if found.offloaded else "") == told


@pytest.mark.fault("W8")
def test_status_and_daemon_say_that_it_is_slow_and_change_nothing() -> None:
    about = {"models": {"a:1": "a"}, "runners": [{"name": "a:1", "is": "a", "size": 10**9, "vram": 4 * 10**8}]}
    wanted = {"a:1": {"warm": True}}
    status = stands(wanted, about)
    assert [(item.condition, item.reason, item.code) for item in status.items] == [
        (Condition.READY, "degraded-offload", Code.OFFLOADED)
    ]
    desired = notation.desired({"desired": {"alpha": wanted}})
    observations = {HOST: notation.observation("alpha", about, desired.hosts[HOST])}
    made = plan(desired, observations)
    assert made.steps == ()
    (_, line, _, summary) = status_text(made, desired, observations).splitlines()
    assert (line.split()[:4], line.endswith("600 MB of it is on the CPU (FLT-242)")) == (
        ["alpha", "a:1", "current", "warm"],
        True,
    )
    assert summary == "1 of 1 item as desired on 1 host"


@pytest.mark.fault("W9")
def test_a_model_that_only_makes_vectors_is_loaded_by_asking_for_one(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    vectors = {"vectors:1b": {"size": 8192, "embedding_length": 768, "capabilities": ["embedding"]}}
    versions = ("0.5.4", "0.32.15")
    fleet = simulate(json.dumps({"hosts": {f"h{v}": {"version": v, "models": vectors} for v in versions}}))
    inventory = fleet.inventory(run_fleet.folder / "hosts.yaml")
    code, told, _ = run(run_fleet, inventory, manifest="version: 1\nmodels: {'vectors:1b': {warm: true}}\n")
    assert (code, told["failures"]) == (0, [])
    for version in versions:
        assert [runner["name"] for runner in fleet.state(f"h{version}")["running"]] == ["vectors:1b"]
