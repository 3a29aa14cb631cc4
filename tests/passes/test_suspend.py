"""`fleet suspend`, `resume` and `history` as they are used, with a daemon and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.names import HostName
from fleet.state.history import History
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered, Remembered
from fleet.state.suspensions import Suspensions
from tests.cli.daemon_socket import answering
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts: {alpha: {}, beta: {}}
registry: {models: {"new:1b": {size: 1MB}}}
"""
FILES = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml")
AT = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the command keeps its record; short enough for a socket."""
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    return folder


def at(state: Path) -> dict[str, str]:
    return {"OLLAMA_FLEET_STATE_DIR": str(state)}


def suspended(state: Path, fleet: str) -> list[tuple[str, str, bool]]:
    with Suspensions(str(state), fleet) as suspensions:
        found = suspensions.all(datetime.now(UTC))
        return [(each.host, each.reason, each.until is not None) for each in found.values()]


def remember_hosts(state: Path, fleet: str) -> None:
    """As a pass leaves it."""
    with Memory(str(state), fleet) as memory:
        memory.record(Remembered({}, {HostName("alpha"): HostRemembered("http://alpha")}))


def test_a_suspended_host_is_left_alone_until_it_is_resumed(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = simulate(SCENARIO)
    fleet.inventory(run_fleet.folder / "hosts.yaml")
    run_fleet.write("ollama-fleet.yaml", "version: 1\nmodels: {new:1b: }\n")

    ran = run_fleet("suspend", "alpha", "--for", "2h", "--reason", "new fans", "-i", "hosts.yaml")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("alpha is suspended until 2")
    assert ran.stdout.endswith("Z: new fans\n")

    ran = run_fleet("apply", *FILES, "--yes")
    assert ran.code == 0
    assert "Suspended, only looked at:\n  alpha: new fans, until 2" in ran.stdout
    assert (fleet.names("alpha"), fleet.names("beta")) == (set(), {"new:1b"})
    ran = run_fleet("status", *FILES, "-o", "json")
    first, _ = json.loads(ran.stdout)["hosts"]
    assert first["suspended"].startswith("new fans, until 2")

    ran = run_fleet("resume", "alpha", "-i", "hosts.yaml")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "alpha is in service again\n", "")
    assert run_fleet("apply", *FILES, "--yes").code == 0
    assert fleet.names("alpha") == {"new:1b"}


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("suspend", "alhpa", "-i", "hosts.yaml"), "the inventory has no host `alhpa`", "did you mean `alpha`?"),
        (("suspend", "alhpa", "--name", "west"), "no host `alhpa` is known of the fleet `west`", "`alpha`"),
        (("resume", "gamma", "-i", "hosts.yaml"), "`gamma` is suspended by the inventory: hosts.yaml:", "there"),
        (("suspend", "alpha", "--for", "2", "--name", "west"), "`2` is no duration", ""),
        (("suspend", "alpha", "--for", "0s", "--name", "west"), "`0s` is not between a moment and a year", ""),
        (("history", "--name", "west", "-i", "hosts.yaml"), "not by both", ""),
        (("history", "7", "--name", "west"), "the history of `west` has no pass 7", "`fleet history`"),
        (("history",), "which fleet is meant? There are: east, west", "`--name NAME`"),
    ],
)
def test_what_cannot_be_meant_is_said(
    arguments: tuple[str, ...], error: str, hint: str, run_fleet: FleetCommand, state: Path
) -> None:
    for fleet in ("west", "east"):
        remember_hosts(state, fleet)
    run_fleet.write(
        "hosts.yaml",
        "version: 1\nname: west\nhosts:\n  alpha: {url: http://127.0.0.1:9}\n"
        "  gamma: {url: http://127.0.0.1:10, suspend: in repair}\n",
    )
    ran = run_fleet(*arguments, environment=at(state))
    assert (ran.code, ran.stdout) == (64, "")
    first, _, rest = ran.stderr.partition("\n")
    assert error in first
    assert hint in rest
    assert suspended(state, "west") == []


def test_the_only_fleet_needs_no_name_and_a_host_that_was_seen_no_inventory(
    run_fleet: FleetCommand, state: Path
) -> None:
    remember_hosts(state, "west")
    ran = run_fleet("suspend", "alpha", "-o", "json", environment=at(state))
    assert json.loads(ran.stdout) == {
        "type": "suspension", "format": 1, "name": "west", "host": "alpha", "until": None, "reason": "",
        "daemon": False,
    }  # fmt: skip
    assert suspended(state, "west") == [("alpha", "", False)]


def test_a_running_daemon_is_asked_and_its_refusal_is_told(run_fleet: FleetCommand, state: Path) -> None:
    def answer(_: str, __: str, body: Any) -> tuple[int, Any]:
        if body["host"] == "alpha":
            return 200, {"host": "alpha"}
        return 404, {"code": "no-such-host", "message": "the inventory has no host `beta`", "hint": None}

    with answering(state / "west.sock", answer) as asked:
        ran = run_fleet("suspend", "alpha", "--for", "90s", "--reason", "new fans", environment=at(state))
        assert ran.code == 0
        assert ran.stdout.startswith("alpha is suspended until")
        ran = run_fleet("resume", "beta", environment=at(state))
        assert ran.code == 64
        assert "the daemon of `west` says: the inventory has no host `beta`" in ran.stderr
    assert asked == [
        ("POST", "/api/suspend", {"host": "alpha", "for_seconds": 90.0, "reason": "new fans"}),
        ("POST", "/api/resume", {"host": "beta"}),
    ]
    assert suspended(state, "west") == [], "the daemon keeps what it is told"


def test_the_history_is_listed_and_one_pass_is_shown(run_fleet: FleetCommand, state: Path) -> None:
    with History(str(state), "west") as history:
        for number in range(1, 4):
            begun = AT + timedelta(hours=number)
            history.begin(begun, ("interval",), "9f3c")
            document = {"hosts": [{"type": "unobserved", "host": "alpha", "code": "FLT-101", "message": "refused"}]}
            history.end(number, begun + timedelta(seconds=2), "failed", 0, 1, "", document)
    ran = run_fleet("history", "--limit", "2", environment=at(state))
    assert (ran.code, ran.stderr) == (0, "")
    head, *rows = ran.stdout.splitlines()
    assert head.split() == ["PASS", "BEGUN", "TOOK", "OUTCOME", "DONE", "FAILED", "BECAUSE", "REVISION"]
    assert [row.split()[:4] for row in rows] == [
        ["3", "2026-11-01T12:30:00Z", "2.0s", "failed"],
        ["2", "2026-11-01T11:30:00Z", "2.0s", "failed"],
    ]
    ran = run_fleet("history", "2", environment=at(state))
    assert ran.stdout.startswith("Pass 2 of `west`: failed\n")
    assert "alpha: not observed: refused (FLT-101)" in ran.stdout


def test_the_history_of_a_running_daemon_is_asked_for(run_fleet: FleetCommand, state: Path) -> None:
    part = {
        "number": 7, "begun": "2026-11-01T09:30:00Z", "triggers": ["git"], "revision": "9f3c", "outcome": "changed",
        "done": 1, "failed": 0,
    }  # fmt: skip

    def answer(_: str, path: str, __: Any) -> tuple[int, Any]:
        return 200, {**part, "hosts": []} if path == "/api/history/7" else {"passes": [part]}

    with answering(state / "west.sock", answer) as asked:
        listed = run_fleet("history", "-o", "json", "--before", "9", environment=at(state))
        shown = run_fleet("history", "7", "-o", "json", environment=at(state))
    assert [path for _, path, _ in asked] == ["/api/history?limit=20&before=9", "/api/history/7"]
    (found,) = json.loads(listed.stdout)["passes"]
    assert (found["number"], found["triggers"], found["ended"]) == (7, ["git"], None)
    document = json.loads(shown.stdout)
    assert (document["type"], document["name"], document["number"], document["hosts"]) == ("pass", "west", 7, [])
