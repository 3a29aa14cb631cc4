"""`policy.prune` and what guards it, by the installed command: whose a model is, what deletes it, and what never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.meanwhile import Meanwhile
from fleet.cli.work import work_of
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Reason
from fleet.reconcile.progress import Event, StepBegun, StepEnded
from fleet.reconcile.run import carry_out, make_plan
from fleet.reconcile.saved import SavedArguments
from fleet.reconcile.step import Action, Step
from fleet.reconcile.stop import Stop
from fleet.settings import Settings
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered, Remembered
from tests.daemon_process import DaemonProcess
from tests.fleet_command import FleetCommand, Ran
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts: {alpha: {models: ["there:1b", "stranger:1b"]}}
registry: {models: {"a:1b": {size: 1MB}, "b:1b": {size: 1MB}, "there:1b": {size: 1MB}, "stranger:1b": {size: 1MB}}}
"""
ALL = "version: 1\nmodels: {a:1b: , b:1b: , there:1b: }\n"
ONE = "version: 1\nmodels: {a:1b: , there:1b: }\n"
FILES = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml")


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Simulated:
    """A host with what was there before and what fleet brought, by a pass of manifests that prune what is fleet's own."""
    fleet = simulate(SCENARIO)
    policy(run_fleet, fleet, "owned")
    assert applied(run_fleet, manifest=ALL).code == 0
    return fleet


def policy(run_fleet: FleetCommand, fleet: Simulated, prune: str) -> None:
    path = Path(fleet.inventory(run_fleet.folder / "hosts.yaml"))
    path.write_text(path.read_text(encoding="utf-8") + f"name: test\npolicy: {{prune: {prune}}}\n", encoding="utf-8")


def applied(run_fleet: FleetCommand, *more: str, manifest: str | None = None) -> Ran:
    return run_fleet("apply", *FILES, "--yes", *more, manifest=manifest)


def steps(run_fleet: FleetCommand, *more: str) -> list[str]:
    plan: dict[str, Any] = json.loads(run_fleet("plan", *FILES, *more, "-o", "json").stdout)
    return [f"{step['action']} {step['model']} ({step['reason']})" for step in plan["steps"]]


@pytest.mark.fault("P13")
def test_what_fleet_brought_goes_with_its_entry_and_nothing_else_does(
    run_fleet: FleetCommand, fleet: Simulated
) -> None:
    planned = run_fleet("plan", *FILES, manifest="version: 1\nmodels: {a:1b: , stranger:1b: }\n")
    assert "Deleted or replaced: 1 model, up to 1.0 MB\n  - b:1b  deleted, " in planned.stdout
    assert "on alpha: fleet put it there, and nobody declares it any more\n" in planned.stdout
    ran = applied(run_fleet)
    assert ran.code == 0, ran.stdout
    assert ran.stdout.startswith(planned.stdout)
    # `there` was declared, and was there before fleet.
    assert fleet.names("alpha") == {"a:1b", "there:1b", "stranger:1b"}


def test_what_somebody_else_brought_in_its_place_is_not_fleets(run_fleet: FleetCommand, fleet: Simulated) -> None:
    fleet.post("/hosts/alpha/remove", {"model": "b:1b"})
    run_fleet.write("ollama-fleet.yaml", ONE)
    assert applied(run_fleet).stdout.startswith("Nothing to do")
    # The very same content, put there by another hand.
    fleet.post("/hosts/alpha/seed", {"model": "b:1b"})
    assert (applied(run_fleet).code, "b:1b" in fleet.names("alpha")) == (0, True)


@pytest.mark.fault("K7")
def test_without_its_record_nothing_is_fleets_own_until_it_is_adopted(
    run_fleet: FleetCommand, fleet: Simulated
) -> None:
    for path in (run_fleet.folder / "state").rglob("fleet.db*"):
        path.unlink()
    assert applied(run_fleet).code == 0
    run_fleet.write("ollama-fleet.yaml", ONE)
    assert steps(run_fleet) == []

    adopted = run_fleet("adopt", *FILES, manifest=ALL)
    assert "alpha: there:1b: taken over\n" in adopted.stdout
    assert adopted.stdout.endswith("Taken over: 3 models, which `policy.prune: owned` may delete later\n")
    assert fleet.names("alpha") == {"a:1b", "b:1b", "there:1b", "stranger:1b"}
    run_fleet.write("ollama-fleet.yaml", ONE)
    assert steps(run_fleet) == ["delete b:1b (no-longer-declared)"]


def test_a_changed_set_of_files_prunes_only_once_somebody_accepted_it(
    run_fleet: FleetCommand, fleet: Simulated
) -> None:
    run_fleet.write("more.yaml", ONE)
    other = ("-i", "hosts.yaml", "-f", "more.yaml")
    for verb in (("plan",), ("apply", "--yes"), ("apply", "--yes")):
        refused = run_fleet(verb[0], *other, *verb[1:])
        assert refused.code == 6
        assert "`-f` and `-i` name other manifests than in the last pass" in refused.stdout
        assert "delete b:1b on alpha (no-longer-declared)" in refused.stdout
        assert "--accept-sources" in refused.stdout
    filtered = run_fleet("apply", *other, "--yes", "--accept-sources", "--model", "*")
    assert (filtered.code, "nothing is pruned under a filter" in filtered.stdout) == (6, True)
    assert "b:1b" in fleet.names("alpha")
    accepted = run_fleet("apply", *other, "--yes", "--accept-sources")
    assert (accepted.code, "b:1b" in fleet.names("alpha")) == (0, False), accepted.stdout
    assert run_fleet("plan", *other).code == 0


@pytest.mark.fault("D20")
def test_a_host_that_leaves_the_inventory_keeps_its_models_and_whose_they_are(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate("hosts: {alpha: {}, beta: {}}\nregistry: {models: {'a:1b': {size: 1MB}, 'b:1b': {size: 1MB}}}\n")
    policy(run_fleet, fleet, "undeclared")
    both = (run_fleet.folder / "hosts.yaml").read_text(encoding="utf-8")
    assert applied(run_fleet, manifest="version: 1\nmodels: {a:1b: , b:1b: }\n").code == 0
    alone = "\n".join(line for line in both.splitlines() if "beta" not in line)
    run_fleet.write("hosts.yaml", alone + "\n")
    assert applied(run_fleet, manifest="version: 1\nmodels: {a:1b: , b:1b: {absent: true}}\n").code == 0
    assert (fleet.names("alpha"), fleet.names("beta")) == ({"a:1b"}, {"a:1b", "b:1b"})

    run_fleet.write("hosts.yaml", both)
    assert steps(run_fleet) == ["delete b:1b (declared-absent)"]
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {a:1b: }\n")
    assert steps(run_fleet) == ["delete b:1b (no-longer-declared)"]
    why = run_fleet("why", *FILES, "beta", "b:1b")
    assert (why.code, why.stderr) == (0, "")
    assert why.stdout.startswith("b:1b\n  declared: by nobody; `policy.prune` has it deleted\n  is: b:1b is listed, ")


@pytest.mark.invariant("E19")
@pytest.mark.fault("D8")
def test_what_the_newest_manifests_keep_is_not_deleted_by_a_run_that_began_before(
    tmp_path: Path, simulate: Simulate
) -> None:
    fleet = simulate(
        "hosts: {alpha: {models: ['old:1b', 'older:1b', 'oldest:1b']}}\nregistry: {models: {'new:1b': {size: 1KB}}}\n"
    )
    gone = {"old:1b": "{absent: true}", "older:1b": "{absent: true}", "oldest:1b": "{absent: true}"}
    settings = Settings(state_dir=str(tmp_path / "state"))
    path = tmp_path / "fleet.yaml"
    inventory = fleet.inventory(tmp_path / "hosts.yaml")

    def write(models: dict[str, str]) -> None:
        told = ", ".join(f'"{name}": {entry}' for name, entry in {"new:1b": "", **models}.items())
        path.write_text(f"version: 1\nmodels: {{{told}}}\n", encoding="utf-8")

    def edit(event: Event) -> None:
        """While the first step runs, then between the deletes: in the end in a way that nobody can read."""
        if isinstance(event, StepBegun) and event.step.action is Action.PULL:
            write(gone | {"old:1b": ""})
        if isinstance(event, StepEnded) and event.result.step.model == ModelName.parse("older:1b"):
            path.write_text("version: 1\nmodels: [", encoding="utf-8")

    write(gone)
    arguments = SavedArguments(manifests=(str(path),), inventory=(inventory,))
    work = work_of(arguments, settings).work
    plan = asyncio.run(make_plan(work))
    report = asyncio.run(carry_out(work, plan, Stop(), edit, Meanwhile(arguments, settings)))
    assert [(str(result.step.model), result.outcome.value) for result in report.results] == [
        ("new:1b", "done"),
        ("old:1b", "not-tried"),
        ("older:1b", "done"),
        ("oldest:1b", "done"),
    ]
    assert "the manifests changed meanwhile, and declare `old:1b` now" in report.failures[0].message
    assert fleet.names("alpha") == {"new:1b", "old:1b"}


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    ("newest", "why"),
    [
        ("models: {other:1: {absent: true}}", "ask for this delete of `old:1` no more"),
        ("policy: {protect: ['OLD']}\nmodels: {'ol*': {absent: true}}", "protect `old:1` now"),
        ("models: {'ol*': {absent: true}}", None),
        ("models: {old:1: {absent: true}}", None),
    ],
)
def test_what_counts_as_kept_by_newer_manifests(tmp_path: Path, newest: str, why: str | None) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"version: 1\nhosts: {{alpha: a.lan}}\n{newest}\n", encoding="utf-8")
    model = ModelName.parse("old:1")
    step = Step(1, HostName("alpha"), model, "old:1", Action.DELETE, Reason.DECLARED_ABSENT)
    clock = [0.0]
    meanwhile = Meanwhile(SavedArguments(manifests=(str(path),)), Settings(), lambda: clock[0])
    told = meanwhile(step)
    assert told == (None if why is None else f"the manifests changed meanwhile, and {why}")
    # A host that left the inventory is changed no more, and what fleet itself left is no business of manifests.
    path.write_text("version: 1\nhosts: {beta: b.lan}\n", encoding="utf-8")
    clock[0] = 0.9
    assert meanwhile(step) == told, "files are looked at once a second, however many deletes there are"
    clock[0] = 1.0
    assert meanwhile(step) == "the manifests changed meanwhile, and `alpha` is in the inventory no more"
    assert meanwhile(replace(step, reason=Reason.LEFT_OVER)) is None


def test_what_the_first_hosts_of_a_daemons_first_pass_leave_is_no_earlier_pass_for_the_others(
    run_fleet: FleetCommand, simulate: Simulate
) -> None:
    fleet = simulate(
        "hosts: {alpha: {}, beta: {models: ['a:1b', 'stranger:1b']}}\nregistry: {models: {'a:1b': {size: 1KB}}}\n"
    )
    policy(run_fleet, fleet, "undeclared")
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {a:1b: }\n")
    fleet.fault("beta", {"fault": "slow", "endpoint": "tags", "delay": 0.7})
    daemon = DaemonProcess(run_fleet, *FILES, "--interval", "1h")
    # That host was seen before, so that what guards the fleet as a whole stands alone.
    with Memory(str(daemon.state), "test") as memory:
        seen = HostRemembered(fleet.urls["beta"], frozenset({"registry.ollama.ai/library/a:1b"}))
        memory.record(Remembered(hosts={HostName("beta"): seen}))
    with daemon:
        daemon.until(lambda status: [each["outcome"] for each in status["fleet"]["passes"]] not in ([], ["running"]))
    assert (fleet.names("alpha"), fleet.names("beta")) == ({"a:1b"}, {"a:1b", "stranger:1b"})


def test_a_daemon_prunes_by_the_same_rules_one_host_at_a_time(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate(
        "hosts: {alpha: {models: ['stranger:1b']}, beta: {}}\nregistry: {models: {'a:1b': {size: 1KB}, 'b:1b': {size: 1KB}}}\n"
    )
    policy(run_fleet, fleet, "owned")
    path = run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {a:1b: , b:1b: }\n")
    with DaemonProcess(run_fleet, *FILES, "--interval", "1h") as daemon:
        daemon.until(lambda _: fleet.names("beta") == {"a:1b", "b:1b"} < fleet.names("alpha"))
        path.write_text("version: 1\nmodels: {a:1b: }\n", encoding="utf-8")
        daemon.until(lambda _: fleet.names("alpha") == {"a:1b", "stranger:1b"} and fleet.names("beta") == {"a:1b"})
