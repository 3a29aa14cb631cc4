"""One host of three goes wrong in turn: the other two converge all the same, and fleet says exactly what happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

SCENARIO = """
hosts:
  alpha: {version: 0.5.4, models: {test-old: {size: 1MB}}}
  beta: {version: 0.9.6, models: {test-old: {size: 1MB}}}
  gamma: {version: 0.32.15, models: {test-old: {size: 1MB}}}
"""
MANIFEST = """
version: 1
models:
  llama3.2:1b: {warm: true}
  acme/short: {create: {from: "llama3.2:1b", system: Be short.}}
  chat: {alias: acme/short}
  "test-*": {absent: true}
"""
WANTED = {"llama3.2:1b", "acme/short:latest", "chat:latest"}
IMPATIENT = {
    "OLLAMA_FLEET_STALL_WINDOW": "300ms",
    "OLLAMA_FLEET_SILENCE": "400ms",
    "OLLAMA_FLEET_ANSWER_DEADLINE": "1500ms",
    "OLLAMA_FLEET_CREATE_SILENCE": "1s",
    "OLLAMA_FLEET_PULL_TRIES": "2",
    "OLLAMA_FLEET_RETRY_TRIES": "2",
    "OLLAMA_FLEET_RETRY_WAIT": "1ms",
}


@pytest.mark.fault("S1", "S3", "S4", "S5")
@pytest.mark.parametrize(
    ("host", "fault", "outcome", "code"),
    [
        pytest.param("beta", {"fault": "stall", "endpoint": "pull"}, "unknown", "FLT-204", id="stalls while it ticks"),
        pytest.param(
            "gamma", {"fault": "trickle", "endpoint": "pull", "interval": 0.05}, "unknown", "FLT-204", id="trickles"
        ),
        pytest.param("alpha", {"fault": "silence", "endpoint": "pull"}, "unknown", "FLT-205", id="falls silent"),
        pytest.param(
            "gamma", {"fault": "cut", "endpoint": "pull", "lines": 2}, "unknown", "FLT-203", id="cuts its streams"
        ),
        pytest.param(
            "beta", {"fault": "clean-end", "endpoint": "pull", "lines": 2}, "unknown", "FLT-203", id="ends early"
        ),
        pytest.param("alpha", {"fault": "error-line", "endpoint": "pull"}, "failed", "FLT-202", id="says error"),
        pytest.param(
            "beta",
            {"fault": "error-then-success", "endpoint": "pull"},
            "failed",
            "FLT-202",
            id="says success after an error",
        ),
        pytest.param("gamma", {"fault": "lie-success", "endpoint": "pull"}, "failed", "FLT-206", id="lies"),
        pytest.param("alpha", {"fault": "full-disk"}, "failed", "FLT-211", id="has a full disk"),
        pytest.param(
            "gamma", {"fault": "status", "endpoint": "pull", "status": 500}, "failed", "FLT-202", id="answers 500"
        ),
    ],
)
def test_what_a_pull_comes_to(
    host: str,
    fault: dict[str, Any],
    outcome: str,
    code: str,
    run_fleet: FleetCommand,
    simulate: Callable[[str], Simulated],
) -> None:
    fleet = simulate(SCENARIO)
    fleet.fault(host, fault)
    applied = run_fleet(
        "apply", "-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", "-o", "json",
        manifest=MANIFEST, environment=IMPATIENT,
    )  # fmt: skip
    assert applied.code == 3, applied.stdout + applied.stderr
    for other in {"alpha", "beta", "gamma"} - {host}:
        assert fleet.names(other) == WANTED
        assert [runner["name"] for runner in fleet.state(other)["running"]] == ["llama3.2:1b"]
    assert "test-old:latest" in fleet.names(host), "nothing is deleted where something failed"
    failures = json.loads(applied.stdout)["failures"]
    assert {failure["host"] for failure in failures} == {host}
    first = failures[0]
    assert (first["model"], first["outcome"], first["code"]) == ("llama3.2:1b", outcome, code)
    assert first["message"]
    assert {f["model"]: f["code"] for f in failures[1:]}["acme/short:latest"] == "FLT-220"


@pytest.mark.fault("N1", "N10", "S7", "S13")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(None, "FLT-101", id="down"),
        pytest.param({"fault": "unreachable"}, "FLT-101", id="resets"),
        pytest.param({"fault": "drip", "interval": 0.1}, "FLT-103", id="drips"),
        pytest.param({"fault": "silence", "headers": False}, "FLT-103", id="silent"),
        pytest.param({"fault": "html"}, "FLT-108", id="a captive portal"),
        pytest.param({"fault": "wrong-json"}, "FLT-108", id="another service"),
        pytest.param({"fault": "status", "status": 502}, "FLT-110", id="a proxy without a server"),
        pytest.param({"fault": "huge"}, "FLT-109", id="endless"),
    ],
)
def test_a_host_that_cannot_be_looked_at_gets_no_steps(
    fault: dict[str, Any] | None, code: str, run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(SCENARIO)
    if fault is None:
        fleet.post("/hosts/beta/down")
    else:
        fleet.fault("beta", fault)
    applied = run_fleet(
        "apply", "-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", "-o", "json",
        manifest=MANIFEST, environment=IMPATIENT,
    )  # fmt: skip
    assert applied.code == 7, applied.stdout + applied.stderr
    document = json.loads(applied.stdout)
    assert [(unseen["host"], unseen["code"]) for unseen in document["unobserved"]] == [("beta", code)]
    assert fleet.names("alpha") == fleet.names("gamma") == WANTED
    assert fleet.names("beta") == {"test-old:latest"}
    assert not [request for request in fleet.requests() if request["host"] == "beta" and request["method"] == "DELETE"]


@pytest.mark.fault("S3")
def test_the_next_run_finishes_what_a_cut_stream_left(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(SCENARIO)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes")
    fleet.fault("gamma", {"fault": "cut", "endpoint": "create", "lines": 1})
    first = run_fleet("apply", *files, manifest=MANIFEST, environment=IMPATIENT)
    assert first.code == 3, first.stdout + first.stderr
    fleet.heal("gamma")
    second = run_fleet("apply", *files)
    assert second.code == 0, second.stdout + second.stderr
    assert fleet.names("gamma") == WANTED


@pytest.mark.fault("S3", "S5")
def test_a_download_is_taken_up_where_it_broke_off(
    run_fleet: FleetCommand, simulate: Callable[[str], Simulated]
) -> None:
    fleet = simulate(SCENARIO)
    fleet.fault("beta", {"fault": "stall", "endpoint": "pull", "times": 1})
    applied = run_fleet(
        "apply", "-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "--yes", manifest=MANIFEST,
        environment=IMPATIENT,
    )  # fmt: skip
    assert applied.code == 0, applied.stdout + applied.stderr
    assert fleet.names("beta") == WANTED
