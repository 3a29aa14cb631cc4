"""What a pass says at its end is what the hosts show then, and nothing more is claimed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.passes.test_exit_codes import until_said
from tests.simulated import Simulated

QUICK = {"OLLAMA_FLEET_RETRY_WAIT": "1ms", "OLLAMA_FLEET_RETRY_TRIES": "2", "OLLAMA_FLEET_ANSWER_DEADLINE": "2s"}


@pytest.mark.fault("W1")
def test_a_warm_model_that_another_load_throws_out_is_noticed(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {max_loaded: 1}}")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", "-o", "json")
    first = run_fleet("apply", *files, manifest="version: 1\nmodels: {llama3.2:1b: {warm: true}}\n")
    assert first.code == 0, first.stderr
    both = "version: 1\nmodels: {llama3.2:1b: {warm: true}, qwen3:0.6b: {warm: true}}\n"
    second = run_fleet("apply", *files, manifest=both)
    assert second.code == 3, second.stdout
    assert [(f["model"], f["code"]) for f in json.loads(second.stdout)["failures"]] == [("llama3.2:1b", "FLT-219")]


def test_a_change_whose_proof_is_cut_off_is_unknown_and_not_failed(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {models: {test-a: {size: 1MB}}}}")
    # Looked at twice before the delete: once for the plan, once just before acting.
    fleet.fault("alpha", {"fault": "unreachable", "endpoint": "tags", "after": 2})
    ran = run_fleet(
        "apply", "-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", "-o", "json",
        manifest='version: 1\nmodels: {"test-*": {absent: true}}\n', environment=QUICK,
    )  # fmt: skip
    assert ran.code == 3
    assert [(f["model"], f["outcome"]) for f in json.loads(ran.stdout)["failures"]] == [("test-a:latest", "unknown")]
    assert fleet.names("alpha") == set()


@pytest.mark.parametrize("version", ["0.5.4", "0.32.15"])
def test_a_text_declared_empty_is_refused_once_the_base_is_known_to_have_one(
    version: str, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    scenario = f"hosts: {{alpha: {{version: {version}}}}}\nregistry: {{models: {{base: {{system: I am here.}}}}}}\n"
    fleet = simulate(scenario)
    ran = run_fleet(
        "apply", "-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", "-o", "json",
        manifest='version: 1\nmodels: {base: , acme/a: {create: {from: base, system: ""}}}\n',
    )  # fmt: skip
    if version == "0.5.4":  # the old dialect can clear a text
        assert ran.code == 0, ran.stdout
        return
    assert ran.code == 3
    assert [f["code"] for f in json.loads(ran.stdout)["failures"]] == ["FLT-310"]
    assert fleet.names("alpha") == {"base:latest"}, "nothing was made that would be wrong"


@pytest.mark.fault("W10")
def test_former_content_goes_back_to_memory_when_the_new_one_does_not_come(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: {version: 0.9.6}}")
    manifest = "version: 1\nmodels: {llama3.2:1b: , acme/a: {create: {from: llama3.2:1b, system: one}, warm: true}}\n"
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes")
    assert run_fleet("apply", *files, manifest=manifest).code == 0
    before = fleet.state("alpha")["models"]["acme/a:latest"]["digest"]
    fleet.fault("alpha", {"fault": "status", "endpoint": "create", "status": 500})
    ran = run_fleet("apply", *files, manifest=manifest.replace("one", "two"), environment=QUICK)
    assert ran.code == 3
    assert fleet.state("alpha")["models"]["acme/a:latest"]["digest"] == before
    assert [runner["name"] for runner in fleet.state("alpha")["running"]] == ["acme/a:latest"]


def test_a_saved_plan_is_not_carried_out_on_another_machine(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: , beta: }")
    manifest = "version: 1\nmodels: {llama3.2:1b: }\n"
    one, other = ({"OLLAMA_HOST": fleet.urls[host]} for host in ("alpha", "beta"))
    assert run_fleet("plan", "--save", "it.plan", manifest=manifest, environment=one).code == 0
    ran = run_fleet("apply", "it.plan", environment=other)
    assert ran.code == 6
    assert fleet.urls["beta"] in ran.stderr
    assert fleet.names("beta") == set()
    assert run_fleet("apply", "it.plan", environment=one).code == 0
    assert fleet.names("alpha") == {"llama3.2:1b"}


@pytest.mark.fault("H8")
def test_a_pass_over_one_host_forgets_nothing_of_the_others(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: , beta: }")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes")
    assert run_fleet("apply", *files, manifest="version: 1\nmodels: {llama3.2:1b: , qwen3:0.6b: }\n").code == 0
    alone = run_fleet("apply", *files, "--self", "alpha", environment={"OLLAMA_HOST": fleet.urls["alpha"]})
    assert alone.code == 0, alone.stdout + alone.stderr
    for model in fleet.names("beta"):
        fleet.post("/hosts/beta/remove", {"model": model})
    emptied = run_fleet("apply", *files)
    assert emptied.code == 6
    assert "FLT-505" in emptied.stdout
    assert fleet.names("beta") == set()


@pytest.mark.fault("H8")
def test_a_host_in_repair_is_still_guarded_when_it_comes_back(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: }")
    manifest = "version: 1\nmodels: {llama3.2:1b: , qwen3:0.6b: }\n"
    in_service = f'version: 1\nhosts: {{alpha: "{fleet.urls["alpha"]}"}}\n'
    in_repair = f'version: 1\nhosts: {{alpha: {{url: "{fleet.urls["alpha"]}", suspend: in repair}}}}\n'
    hosts = run_fleet.write("hosts.yaml", in_service)
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes", manifest=manifest).code == 0
    hosts.write_text(in_repair, encoding="utf-8")
    for model in fleet.names("alpha"):
        fleet.post("/hosts/alpha/remove", {"model": model})
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes").code == 0
    hosts.write_text(in_service, encoding="utf-8")
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes").code == 6
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes", "--accept-emptied", "alpha").code == 0


def test_an_interrupt_ends_the_wait_for_a_model_to_leave_memory(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate("hosts: {alpha: }")
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes")
    assert run_fleet("apply", *files, manifest="version: 1\nmodels: {llama3.2:1b: {warm: true}}\n").code == 0
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {llama3.2:1b: {absent: true}}\n")
    fleet.fault("alpha", {"fault": "lie-success", "endpoint": "unload"})
    with run_fleet.start("apply", *files, "-o", "jsonl") as apply:
        until_said(apply.stdout, '"step-begun"')
        os.kill(apply.pid, signal.SIGINT)
        apply.communicate(timeout=20)
        assert apply.returncode == 130
    assert fleet.names("alpha") == {"llama3.2:1b"}, "what is in memory is not deleted"
