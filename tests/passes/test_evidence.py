"""What fleet remembers of the models that it made, and what it notices by that: by the installed command."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fleet_command import FleetCommand, Ran
from tests.simulated import Simulated
from tests.weights import making

Simulate = Callable[[str], Simulated]

FILES = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml")
ONE, OTHER = making.model(general__name="one"), making.model(general__name="two")
BASE = {"size": 4096, "seed": "base"}
HOSTS = {
    "old": {"version": "0.9.6", "models": {"base:1b": BASE}},
    "new": {"version": "0.32.15", "models": {"base:1b": BASE}},
}
MANIFEST = """
version: 1
models:
  base:1b:
  acme/files: {create: {files: [one.gguf], system: Files.}}
  acme/tensors: {create: {files: [tensors]}}
  acme/derived: {create: {from: "base:1b", system: Derived.}}
  acme/further: {create: {from: acme/derived, parameters: {temperature: 0.5}}}
  chat: {alias: acme/further}
"""
UNPROVABLE = {("old", "acme/tensors:latest"), ("new", "acme/tensors:latest"), ("new", "acme/files:latest")}
"""Converted weights have other digests than what was uploaded; so have rewritten ones, from 0.30 on."""


SMALL = """
version: 1
models: {acme/derived: {create: {from: "base:1b", system: Derived.}}}
"""


def short(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()[:12]}"


def begin(run_fleet: FleetCommand, simulate: Simulate, manifest: str) -> Simulated:
    """A host that holds the base."""
    found = simulate(json.dumps({"hosts": {"alpha": HOSTS["old"]}, "registry": {"models": {}}}))
    found.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", manifest)
    return found


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Simulated:
    """Two hosts on which all was made and nothing is to be done."""
    found = simulate(json.dumps({"hosts": HOSTS, "registry": {"models": {}}}))
    found.inventory(run_fleet.folder / "hosts.yaml")
    (run_fleet.folder / "one.gguf").write_bytes(ONE)
    making.folder(run_fleet.folder / "tensors")
    ran = run(run_fleet, "apply", "--yes", manifest=MANIFEST)
    assert ran.code == 0, ran.stdout + ran.stderr
    found.reset()
    return found


def run(run_fleet: FleetCommand, verb: str, *more: str, manifest: str | None = None) -> Ran:
    return run_fleet(verb, *FILES, *more, manifest=manifest, environment={"OLLAMA_FLEET_RETRY_WAIT": "1ms"})


def document(run_fleet: FleetCommand, verb: str, *more: str) -> dict[str, Any]:
    ran = run(run_fleet, verb, *more, "-o", "json")
    assert ran.code == 0, ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def steps(plan: dict[str, Any]) -> list[str]:
    return [f"{step['host']}: {step['action']} {step['model']} ({step['reason']})" for step in plan["steps"]]


def changes(plan: dict[str, Any], number: int) -> dict[str, tuple[str, str]]:
    """Old and new, by field, of one step."""
    return {change["field"]: (change["old"], change["new"]) for change in plan["steps"][number - 1]["changes"]}


@pytest.mark.fault("U9")
def test_what_nothing_proves_is_left_adopted_or_built_once(run_fleet: FleetCommand, fleet: Simulated) -> None:
    shutil.rmtree(run_fleet.folder / "state")
    lost = document(run_fleet, "plan")
    assert lost["steps"] == []
    assert {(each["host"], each["model"], each["code"]) for each in lost["unverified"]} == {
        (host, model, "FLT-312") for host, model in UNPROVABLE
    }
    adopted = run(run_fleet, "adopt", "--host", "new")
    assert adopted.stdout.startswith(
        "new: acme/files:latest: recorded as it is\nnew: acme/tensors:latest: recorded as it is\n"
    )
    assert "\nRecorded as they are: 2 models\nTaken over: " in adopted.stdout
    assert (adopted.code, fleet.changing()) == (0, 0)

    (run_fleet.folder / "one.gguf").write_bytes(OTHER)
    changed = document(run_fleet, "plan")
    assert steps(changed) == [
        "new: upload acme/files:latest (blob-missing)",
        "new: create acme/files:latest (inputs-changed)",
        "old: upload acme/files:latest (blob-missing)",
        "old: create acme/files:latest (fields-differ)",
    ]
    assert [changes(changed, number) for number in (2, 4)] == [{"files": (short(ONE), short(OTHER))}] * 2
    told = run(run_fleet, "apply", "--yes").stdout
    assert "  acme/tensors:latest on old (FLT-312)\n      hint: `fleet adopt` records them as they are" in told
    fleet.reset()
    assert steps(document(run_fleet, "apply", "--yes", "--rebuild-unverified")) == [
        "old: create acme/tensors:latest (rebuild-asked)"
    ]
    again = run(run_fleet, "apply", "--yes", "--rebuild-unverified")
    assert again.stdout == "Nothing to do: 12 items as desired on 2 hosts\n"
    assert [each["model"] for each in fleet.requests() if each["kind"] == "create"] == ["acme/tensors:latest"]


def test_what_somebody_else_did_is_named_and_followed_through_all_that_is_made_of_it(
    run_fleet: FleetCommand, fleet: Simulated
) -> None:
    before = fleet.state("new")["models"]
    fleet.post("/hosts/new/seed", {"model": "base:1b", **BASE, "seed": "moved"})
    stranger = {**BASE, "system": "Stranger.", "parameters": {"top_k": 7}}
    fleet.post("/hosts/old/seed", {"model": "acme/derived", **stranger})
    plan = document(run_fleet, "plan")
    assert steps(plan) == [
        "new: create acme/derived:latest (base-changed)",
        "new: create acme/further:latest (base-changes)",
        "new: copy chat:latest (source-changes)",
        "old: create acme/derived:latest (changed-elsewhere)",
        "old: create acme/further:latest (base-changes)",
        "old: copy chat:latest (source-changes)",
    ]
    assert [step["needs"] for step in plan["steps"]] == [[], [1], [2], [], [4], [5]]
    old, new = (models["base:1b"]["digest"] for models in (before, fleet.state("new")["models"]))
    assert changes(plan, 1) == {"base": (f"sha256:{old[:12]}", f"sha256:{new[:12]}")}
    texts = {text: f"{short(text.encode())} ({len(text)} bytes)" for text in ("Stranger.", "Derived.")}
    assert changes(plan, 4) == {"system": (texts["Stranger."], texts["Derived."]), "parameters.top_k": ("7", None)}

    shown = run(run_fleet, "plan", "--show-content").stdout
    assert re.search(
        r"somebody else changed it.*\n.*\n? +system:\n +@@ -1 \+1 @@\n +-Stranger\.\n +\+Derived\.\n", shown
    )
    applied = run(run_fleet, "apply", "--yes")
    assert (applied.code, "Stranger." in applied.stdout) == (0, False)
    after = fleet.state("new")["models"]
    assert {name for name in before if before[name]["digest"] != after[name]["digest"]} == {
        "base:1b",
        "acme/derived:latest",
        "acme/further:latest",
        "chat:latest",
    }
    assert after["chat:latest"]["digest"] == after["acme/further:latest"]["digest"]
    assert fleet.state("old")["models"].keys() == after.keys()
    assert document(run_fleet, "plan")["steps"] == []


def test_a_damaged_record_is_set_aside_and_the_run_goes_on(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = begin(run_fleet, simulate, SMALL)
    record = run_fleet.folder / "state" / "ollama-fleet" / "fleet.db"
    record.parent.mkdir(mode=0o700, parents=True)
    record.write_bytes(b"no database" * 1000)
    planned = run(run_fleet, "plan")
    assert planned.code == 0
    # Twice, since a host that somebody suspended is not left alone any more.
    assert planned.stderr == (
        f"note: what fleet knows of suspended hosts cannot be read (file is not a database): {record}\n"
        f"note: what fleet remembered is damaged (file is not a database): {record} is not used; the next run that"
        " changes something sets it aside\n"
    )
    applied = run(run_fleet, "apply", "--yes")
    assert (applied.code, fleet.names("alpha")) == (0, {"base:1b", "acme/derived:latest"})
    aside = re.search(r"fleet\.db was set aside as `(fleet\.db\.set-aside-\w+)`, and a new one begun", applied.stderr)
    assert aside is not None, applied.stderr
    assert (record.parent / aside[1]).read_bytes() == b"no database" * 1000
    again = run(run_fleet, "plan")
    assert (again.stdout, again.stderr) == ("Nothing to do: 1 item as desired on 1 host\n", "")


@pytest.mark.fault("K3")
def test_of_two_runs_at_once_the_second_says_who_is_at_work(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = begin(run_fleet, simulate, SMALL)
    fleet.fault("alpha", {"fault": "silence", "endpoint": "create"})
    begun = datetime.now(UTC).replace(microsecond=0)
    with run_fleet.start("apply", *FILES, "--yes", "-o", "jsonl") as process:
        assert process.stdout is not None
        next(line for line in process.stdout if '"step-begun"' in line)
        for verb in (("apply", "--yes"), ("adopt",)):
            ran = run(run_fleet, *verb)
            assert (ran.code, ran.stdout) == (5, "")
            owner = re.match(r"error: another run is at work \(process (\d+) on `.+`, since (\S+)\): ", ran.stderr)
            assert owner is not None, ran.stderr
            assert int(owner[1]) == process.pid
            assert begun <= datetime.fromisoformat(owner[2]) <= datetime.now(UTC)
            assert "hint: wait for it to end, or give this run time with `--lock-timeout 5m`" in ran.stderr
        process.kill()
    # The lock is the kernel's: it went with its process.
    fleet.heal("alpha")
    assert run(run_fleet, "apply", "--yes").code == 0


DISK = """
hosts: {alpha: {models: {"base:1b": {size: 5MB, seed: base}}}, beta: {}}
registry:
  models:
    base:1b: {size: 5MB, seed: base}
    big:1b: {size: 30MB}
    twin:1b: {size: 5MB, seed: base, system: Twin.}
"""


def test_a_plan_counts_the_layers_that_are_not_there_and_what_the_disk_holds(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate(DISK)
    inventory = run_fleet.folder / "hosts.yaml"
    fleet.inventory(inventory)
    for host, url in fleet.urls.items():
        held = f"{host}: {{url: {url}, capacity: {{disk: 20MB}}}}"
        inventory.write_text(inventory.read_text().replace(f"{host}: {url}", held))
    run_fleet.write("ollama-fleet.yaml", 'version: 1\nmodels: {"base:1b": {}, "big:1b": {}, "twin:1b": {}}\n')
    asking = {"OLLAMA_FLEET_ASK_REGISTRIES": "true"}

    plan = json.loads(run_fleet("plan", *FILES, "-o", "json", environment=asking).stdout)
    moved = {(step["host"], step["model"]): step["bytes_to_transfer"] for step in plan["steps"]}
    assert moved.keys() == {("alpha", "twin:1b"), ("beta", "base:1b"), ("beta", "twin:1b")}
    assert moved["alpha", "twin:1b"] == moved["beta", "twin:1b"] < 1000, "its weights are there, or come with the other"
    assert 5_000_000 < moved["beta", "base:1b"] < 5_001_000
    assert plan["summary"]["bytes_to_transfer"] == sum(moved.values())
    assert {(each["host"], each["model"], each["code"], each["message"]) for each in plan["blocked"]} == {
        (
            host,
            "big:1b",
            "FLT-314",
            "it needs 30.0 MB; of the host's 20.0 MB, 5.0 MB are taken, or planned for what comes before it",
        )
        for host in ("alpha", "beta")
    }

    ran = run_fleet("apply", *FILES, "--yes", environment=asking)
    assert ran.code == 3
    assert re.search(r"\nDone: 3 pulled on 2 hosts in \S+; 2 items blocked\n", ran.stdout), ran.stdout
    assert fleet.names("alpha") == fleet.names("beta") == {"base:1b", "twin:1b"}


def test_what_is_declared_warm_no_longer_goes_back_to_the_servers_own_duration(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = begin(run_fleet, simulate, SMALL)

    def stays() -> list[float]:
        return [runner["session_seconds"] for runner in fleet.state("alpha")["running"]]

    warm = 'version: 1\nmodels: {"base:1b": {warm: true}}\n'
    assert run(run_fleet, "apply", "--yes", manifest=warm).code == 0
    assert run(run_fleet, "apply", "--yes").stdout == "Nothing to do: 1 item as desired on 1 host\n"
    (for_ever,) = stays()
    assert for_ever > 10 * 365 * 86400

    released = run(run_fleet, "apply", "--yes", "--accept-shrunk", manifest="version: 1\nmodels: {}\n")
    assert released.code == 0, released.stdout
    assert "  1  - release  base:1b  no longer declared warm\n" in released.stdout
    assert "Done: 1 released on 1 host in " in released.stdout
    assert (stays(), fleet.names("alpha")) == ([300.0], {"base:1b"})
    assert run(run_fleet, "plan", manifest=warm.replace("{warm: true}", "{}")).stdout == (
        "Nothing to do: 1 item as desired on 1 host\n"
    )
