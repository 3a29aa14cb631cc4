"""`fleet apply` where a machine is being set up: hosts that are not there yet, and a moment by which it has to be over."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest

from tests.fleet_command import COMMAND, FleetCommand
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts: {alpha: {models: ["old:1b"]}}
registry: {models: {quick:1b: {size: 1MB}, slow:1b: {size: 1MB}, "old:1b": {size: 1MB}}}
"""
MANIFEST = """
version: 1
models:
  quick:1b:
  slow:1b:
  old:1b: {absent: true}
"""
FILES = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml", "--yes")
IMPATIENT = {"OLLAMA_FLEET_RETRY_TRIES": "1", "OLLAMA_FLEET_ANSWER_DEADLINE": "2s"}


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Simulated:
    fleet = simulate(SCENARIO)
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", MANIFEST)
    return fleet


def lines(stream: IO[str] | None) -> Iterator[dict[str, Any]]:
    assert stream is not None
    yield from (json.loads(line) for line in stream)


def test_this_machine_while_its_server_is_still_starting(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("hosts: {alpha: {down: true}}\nregistry: {models: {quick:1b: {size: 1MB}}}")
    run_fleet.write("hosts.yaml", "version: 1\nhosts: {node-1: http://127.0.0.1:9, node-2: http://127.0.0.1:9}\n")
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {quick:1b: }\n")
    arguments = (*FILES, "--self", "node-1", "--wait", "10m", "--deadline", "45m")
    with run_fleet.start("apply", *arguments, environment={**IMPATIENT, "OLLAMA_HOST": fleet.urls["alpha"]}) as process:
        assert process.stderr is not None
        waiting = process.stderr.readline()
        fleet.post("/hosts/alpha/up")
        out, error = process.communicate(timeout=60)
    assert waiting.startswith("node-1: not yet: "), waiting + error
    assert "(FLT-101); asked again for up to " in waiting
    assert (process.returncode, fleet.names("alpha")) == (0, {"quick:1b"})
    assert "Done: 1 pulled on 1 host in " in out


def test_hosts_that_are_closed_silent_and_busy_at_first(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate("""
    hosts:
      closed: {down: true}
      silent: {faults: [{fault: silence, headers: false}]}
      busy: {faults: [{fault: status, status: 503}]}
      ready: {}
    registry: {models: {quick:1b: {size: 1MB}}}
    """)
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {quick:1b: }\n")
    waited: dict[str, str] = {}
    with run_fleet.start("apply", *FILES, "--wait", "10m", "-o", "jsonl", environment=IMPATIENT) as process:
        told = lines(process.stdout)
        while len(waited) < 3:
            line = next(told)
            if line["type"] == "host-awaited":
                waited[line["host"]] = line["code"]
        assert fleet.changing() == 0, "the plan is made of all hosts"
        fleet.post("/hosts/closed/up")
        fleet.heal("silent")
        fleet.heal("busy")
        *_, report = told
        process.wait(timeout=60)
    assert waited == {"closed": "FLT-101", "silent": "FLT-103", "busy": "FLT-111"}
    assert report["exit_code"] == process.returncode == 0
    assert [fleet.names(host) for host in fleet.urls] == [{"quick:1b"}] * 4


def test_who_waits_in_vain_is_told_and_the_others_are_served(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate(
        "hosts: {alpha: {faults: [{fault: silence, headers: false}]}, beta: {}}\n"
        "registry: {models: {quick:1b: {size: 1MB}}}"
    )
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {quick:1b: }\n")
    ran = run_fleet("apply", *FILES, "--wait", "100ms", environment=IMPATIENT)
    assert ran.code == 7
    assert "alpha: no answer within 2s: " in ran.stdout
    assert "One that is still starting is asked again with `--wait 10m`" in ran.stdout
    assert fleet.names("beta") == {"quick:1b"}


def test_a_run_is_over_by_its_deadline_and_the_next_goes_on(run_fleet: FleetCommand, fleet: Simulated) -> None:
    fleet.fault("alpha", {"fault": "stall", "endpoint": "pull", "model": "slow:1b"})
    begun = time.monotonic()
    ran = run_fleet("apply", *FILES, "--deadline", "3s")
    assert time.monotonic() - begun < 8
    assert ran.code == 3
    assert "stopping for the deadline of 3s: nothing new is begun" in ran.stderr
    assert "Ended by the deadline: 1 pulled on 1 host in " in ran.stdout
    assert "1 unknown how it ended, 1 not tried" in ran.stdout
    assert ran.stderr.endswith(
        "error: the deadline of 3s came after 1 of 3 steps\n\n"
        "hint: the next run goes on from there, and downloads from the bytes that hosts keep;"
        " `--deadline` gives more time\n"
    )
    assert fleet.names("alpha") == {"quick:1b", "old:1b"}

    fleet.heal("alpha")
    again = run_fleet("apply", *FILES, "--deadline", "10m", "-o", "json")
    report = json.loads(again.stdout)
    assert (again.code, again.stderr.count("deadline"), report["interrupted"]) == (0, 0, None)
    assert [(step["action"], step["model"]) for step in report["steps"]] == [("pull", "slow:1b"), ("delete", "old:1b")]


def test_a_host_that_keeps_the_run_from_ending_is_left(run_fleet: FleetCommand, fleet: Simulated) -> None:
    stalled = {"fault": "stall", "endpoint": "pull", "model": "slow:1b"}
    fleet.fault("alpha", stalled)
    with run_fleet.start("apply", *FILES, "--deadline", "3s", "-o", "jsonl") as process:
        told = lines(process.stdout)
        while (line := next(told))["type"] != "step-moved" or line["model"] != "slow:1b":
            pass
        fleet.fault("alpha", {"fault": "silence", "headers": False})
        _, error = process.communicate(timeout=10)
    assert process.returncode == 3
    assert error.endswith("ended at once by the deadline of 3s; the next run finds out how the last calls ended\n")


def test_a_deadline_that_comes_before_a_host_answered(run_fleet: FleetCommand, fleet: Simulated) -> None:
    fleet.fault("alpha", {"fault": "silence", "headers": False})
    ran = run_fleet("apply", *FILES, "--deadline", "1s", "-o", "json")
    assert ran.code == 3
    document = json.loads(ran.stdout)
    assert (document["type"], document["code"], document["exit_code"]) == ("error", "FLT-221", 3)
    assert document["message"] == (
        "the deadline of 1s came while hosts were looked at, before alpha answered: nothing was changed"
    )
    assert fleet.changing() == 0


def test_a_deadline_that_comes_before_the_manifests(run_fleet: FleetCommand) -> None:
    with subprocess.Popen(
        [COMMAND, "apply", "-f", "-", "--yes", "--deadline", "200ms"],
        cwd=run_fleet.folder,
        env=run_fleet.environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        error = process.stderr.read()
        code = process.wait(timeout=10)
    assert (code, error.splitlines()[0]) == (
        3,
        "error: the deadline of 200ms came while manifests and files were read: nothing was changed",
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--deadline", "45"), "`--deadline`: `45` is no duration: a number needs its unit"),
        (("--deadline", "0s"), "`--deadline`: `0s` is no time at all"),
        (("--deadline", "10m", "--wait", "10m"), "`--deadline 10m` leaves no time for anything once hosts were waited"),
    ],
)
def test_deadlines_that_make_no_sense(run_fleet: FleetCommand, arguments: tuple[str, ...], told: str) -> None:
    ran = run_fleet("apply", *arguments, manifest="version: 1\nmodels: {quick:1b: }\n")
    assert ran.code == 64
    assert ran.stderr.startswith(f"error: {told}")
