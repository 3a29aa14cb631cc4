"""Every code of the exit table, from the installed command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.fleet_command import FleetCommand, Started
from tests.simulated import Simulated

ONE = "hosts: {alpha: {models: {test-a: {size: 1MB}, test-b: {size: 1MB}}}}\n"
PULL = "version: 1\nmodels: {llama3.2:1b: }\n"
GONE = 'version: 1\nmodels: {"test-*": {absent: true}}\n'
NOBODY = 'version: 1\nhosts: {alpha: "http://127.0.0.1:9"}\nmodels: {llama3.2:1b: }\n'


@pytest.fixture
def alpha(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> Simulated:
    """One host; its inventory is `hosts.yaml` in the command's folder."""
    fleet = simulate(ONE)
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    return fleet


@pytest.mark.usefixtures("alpha")
def test_0_and_2_for_a_plan_with_and_without_changes(run_fleet: FleetCommand) -> None:
    assert run_fleet("plan", "-i", "hosts.yaml", manifest=PULL).code == 0
    assert run_fleet("plan", "-i", "hosts.yaml", "--detailed-exitcode").code == 2
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes").code == 0
    assert run_fleet("plan", "-i", "hosts.yaml", "--detailed-exitcode").code == 0


@pytest.mark.usefixtures("alpha")
def test_1_when_what_fleet_remembers_cannot_be_read(run_fleet: FleetCommand) -> None:
    run_fleet.write("state/ollama-fleet/default.json", "{")
    ran = run_fleet("plan", "-i", "hosts.yaml", manifest=PULL)
    assert ran.code == 1
    assert "default.json" in ran.stderr
    assert "hint:" in ran.stderr


def test_3_when_an_item_is_blocked(run_fleet: FleetCommand, alpha: Simulated) -> None:
    ran = run_fleet(
        "apply", "-i", "hosts.yaml", "--yes", "-o", "json",
        manifest="version: 1\nmodels: {llama3.2:1b: , chat: {alias: nowhere}}\n",
    )  # fmt: skip
    assert ran.code == 3
    document = json.loads(ran.stdout)
    assert [(b["host"], b["model"], b["code"]) for b in document["blocked"]] == [("alpha", "chat:latest", "FLT-303")]
    assert "llama3.2:1b" in alpha.names("alpha"), "what is not blocked goes on"


@pytest.mark.fault("D6", "D1")
def test_4_for_a_faulty_manifest_and_no_host_is_asked(run_fleet: FleetCommand, alpha: Simulated) -> None:
    alpha.reset()
    ran = run_fleet("apply", "-i", "hosts.yaml", "--yes", manifest="version: 1\nmodels: {a: {pul: {}}, b: {warm: 7}}\n")
    assert ran.code == 4
    assert "ollama-fleet.yaml:2:" in ran.stderr
    assert alpha.requests() == []


def test_5_while_another_run_is_at_work(run_fleet: FleetCommand, alpha: Simulated) -> None:
    alpha.fault("alpha", {"fault": "stall", "endpoint": "pull"})
    run_fleet.write("ollama-fleet.yaml", PULL)
    with pulling(run_fleet) as first:
        second = run_fleet("apply", "-i", "hosts.yaml", "--yes")
        assert second.code == 5
        assert f"process {first.pid}" in second.stderr


@pytest.mark.fault("D6", "P6")
def test_6_when_a_guard_refuses(run_fleet: FleetCommand, alpha: Simulated) -> None:
    ran = run_fleet("apply", "-i", "hosts.yaml", "--yes", "--max-deletes", "1", manifest=GONE)
    assert ran.code == 6
    assert "FLT-501" in ran.stdout + ran.stderr
    assert "--max-deletes 2" in ran.stdout + ran.stderr
    assert alpha.names("alpha") == {"test-a:latest", "test-b:latest"}
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes", "--max-deletes", "2").code == 0
    assert alpha.names("alpha") == set()


def test_6_when_nobody_said_yes(run_fleet: FleetCommand, alpha: Simulated) -> None:
    ran = run_fleet("apply", "-i", "hosts.yaml", manifest=PULL)
    assert ran.code == 6
    assert "--yes" in ran.stderr
    assert "llama3.2:1b" not in alpha.names("alpha")


def test_7_when_a_host_is_not_there_and_0_when_that_is_allowed(run_fleet: FleetCommand) -> None:
    hasty = {"OLLAMA_FLEET_RETRY_TRIES": "1"}
    assert run_fleet("plan", manifest=NOBODY, environment=hasty).code == 7
    assert run_fleet("plan", "--allow-unreachable", "1", environment=hasty).code == 0
    assert run_fleet("plan", "--allow-unreachable", "50%", environment=hasty).code == 7


def test_64_for_a_wrong_command_line(run_fleet: FleetCommand) -> None:
    ran = run_fleet("plan", "--saev", "x")
    assert ran.code == 64
    assert "--save" in ran.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.fault("K1")
def test_130_and_143_when_interrupted_and_the_next_run_finishes(
    number: signal.Signals, code: int, run_fleet: FleetCommand, alpha: Simulated
) -> None:
    alpha.fault("alpha", {"fault": "stall", "endpoint": "pull"})
    run_fleet.write("ollama-fleet.yaml", PULL)
    with pulling(run_fleet) as apply:
        os.kill(apply.pid, number)
        _, told = apply.communicate(timeout=20)
        assert apply.returncode == code
        assert "stopping" in told
    alpha.heal("alpha")
    assert run_fleet("apply", "-i", "hosts.yaml", "--yes").code == 0
    assert "llama3.2:1b" in alpha.names("alpha")


@pytest.mark.fault("K1")
def test_a_second_interrupt_ends_at_once(run_fleet: FleetCommand, alpha: Simulated) -> None:
    alpha.fault("alpha", {"fault": "stall", "endpoint": "pull"})
    run_fleet.write("ollama-fleet.yaml", PULL)
    with pulling(run_fleet, grace="1h") as apply:
        os.kill(apply.pid, signal.SIGINT)
        until_said(apply.stderr, "stopping")
        os.kill(apply.pid, signal.SIGINT)
        assert apply.wait(timeout=20) == 130


@contextmanager
def pulling(run_fleet: FleetCommand, grace: str = "100ms") -> Iterator[Started]:
    """An apply that has begun to pull; ended by its own process id, whatever the test did."""
    arguments = ("apply", "-i", "hosts.yaml", "--yes", "-o", "jsonl")
    with run_fleet.start(*arguments, environment={"OLLAMA_FLEET_GRACE": grace}) as process:
        until_said(process.stdout, '"step-begun"')
        yield process


def until_said(stream: IO[str] | None, words: str) -> None:
    """Reads what a command tells until it says so."""
    assert stream is not None
    for line in stream:
        if words in line:
            return
    pytest.fail(f"the command ended without saying {words!r}")
