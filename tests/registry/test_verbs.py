"""`fleet lock` and `fleet outdated`, the installed commands, against simulated hosts and registries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fleet_command import FleetCommand, Ran
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts:
  old: {version: 0.5.4, labels: {stage: "true"}, models: [qwen3:8b, phi4:14b]}
  new: {models: [qwen3:8b], labels: {stage: "true"}}
  prod: {}
registry:
  models: {qwen3:8b: {size: 200KB, indented: true}, phi4:14b: {size: 100KB}, secret: {private: true}}
registries:
  mirror.lan:5000: {models: {team/other:2: {size: 100KB}}, token: true}
"""
MANIFEST = """
version: 1
models:
  qwen3:8b: {pull: {update: locked}}
  phi4:14b:
  acme/other: {pull: {from: "mirror.lan:5000/team/other:2"}}
  acme/mine: {create: {from: "qwen3:8b", system: Hi}}
"""


class Fleet:
    """The command with an inventory of simulated hosts, and with registries asked."""

    def __init__(self, command: FleetCommand, simulated: Simulated) -> None:
        self.command = command
        self.simulated = simulated
        self.inventory = simulated.inventory(command.folder / "hosts.yaml")
        self.file = command.folder / "ollama-fleet.lock"

    def __call__(self, *arguments: str, manifest: str | None = MANIFEST, ask: bool = True) -> Ran:
        environment = {"OLLAMA_FLEET_ASK_REGISTRIES": "true" if ask else "false"}
        return self.command(*arguments, "-i", self.inventory, manifest=manifest, environment=environment)

    def json(self, *arguments: str, code: int = 0, manifest: str | None = MANIFEST) -> Any:
        ran = self(*arguments, "-o", "json", manifest=manifest)
        assert ran.code == code, ran.stderr + ran.stdout
        return json.loads(ran.stdout)

    def served(self, name: str) -> str:
        return str(self.simulated._ask("GET", "/registry/state")["models"][name]["digest"])

    def asked(self) -> dict[str, int]:
        """How many image manifests fleet itself asked for, by registry."""
        counted = self.simulated._ask("GET", "/counters")["registries"]
        return {name: each["clients"].get("ollama-fleet", {}).get("manifest", 0) for name, each in counted.items()}


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Fleet:
    return Fleet(run_fleet, simulate(SCENARIO))


def test_a_lock_is_written_kept_moved_and_checked(fleet: Fleet) -> None:
    ran = fleet("lock")
    assert ran.code == 0, ran.stderr
    assert [line.split()[:2] for line in ran.stdout.splitlines()[:3]] == [
        ["+", "acme/other:latest"],
        ["+", "phi4:14b"],
        ["+", "qwen3:8b"],
    ]
    assert ran.stdout.splitlines()[-1] == "ollama-fleet.lock: written, with 3 models; 3 added"
    first = fleet.file.read_bytes()
    raw, normalised = first.decode().splitlines()[-1].split()[1:3]
    assert raw == f"sha256:{fleet.served('qwen3:8b')}"
    assert normalised != raw

    fleet.simulated.post("/registry/add", {"model": "qwen3:8b", "size": "300KB"})
    fleet.simulated.reset()
    assert fleet("lock").stdout == "ollama-fleet.lock: unchanged, with 3 models\n"
    assert fleet.asked() == {"registry": 0, "mirror.lan:5000": 0}
    assert fleet("lock", "--check", "--upgrade").code == 2
    assert fleet.file.read_bytes() == first
    told = fleet.json("lock", "--upgrade", "qwen3:8b")
    moved = next(each for each in told["models"] if each["change"] == "moved")
    assert (moved["model"], moved["before"]["digest"]) == ("qwen3:8b", raw)
    assert moved["after"]["digest"] == f"sha256:{fleet.served('qwen3:8b')}"
    assert told["counts"] == {"kept": 2, "added": 0, "moved": 1, "dropped": 0, "failed": 0}

    ran = fleet("lock", "--check", manifest="version: 1\nmodels: {phi4:14b: , new: }\n")
    assert ran.code == 2
    assert [line[:1] for line in ran.stdout.splitlines()[:3]] == ["-", "+", "-"]
    assert "is not up to date; 1 to add, 2 to drop\nhint: run `fleet lock`" in ran.stdout


def test_what_cannot_be_locked_is_told_and_the_rest_is_written(fleet: Fleet) -> None:
    pinned = f'{{pull: {{pin: "sha256:{"0" * 64}"}}}}'
    manifest = f"version: 1\nmodels: {{nope: , secret: , qwen3:8b: {pinned}, phi4:14b: }}\n"
    ran = fleet("lock", manifest=manifest)
    assert ran.code == 3
    assert "! nope:latest    Ollama's registry has no `nope:latest`" in ran.stdout
    assert "! qwen3:8b       its pin is 000000000000, and what was found is" in ran.stdout
    assert (
        "does not serve `secret:latest` to everybody" in ran.stdout
        or "gives no token for `secret:latest`" in ran.stdout
    )
    assert "written, with 1 model; 1 added, 3 failed" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "hint: `fleet explain FLT-207` tells cause and cure (also FLT-313, FLT-208)"


def test_what_staging_runs_is_locked_for_production(fleet: Fleet) -> None:
    told = fleet.json("lock", "--from-hosts", "-l", "stage=true", code=3)
    assert {each["model"]: each["code"] for each in told["models"]} == {
        "acme/other:latest": "FLT-406",
        "phi4:14b": None,
        "qwen3:8b": None,
    }
    line = fleet.file.read_text().splitlines()[-1].split()
    assert line[:2] == ["qwen3:8b", f"sha256:{fleet.served('qwen3:8b')}"]
    assert line[2] != line[1]

    fleet.simulated.post("/hosts/old/down")
    before = fleet.file.read_bytes()
    ran = fleet("lock", "--from-hosts", manifest="version: 1\nmodels: {qwen3:8b: }\n")
    assert ran.code == 7
    assert "! old: " in ran.stdout
    assert fleet.file.read_bytes() == before


def test_outdated_compares_hosts_lock_and_registry(fleet: Fleet) -> None:
    fleet("lock")
    fleet.simulated.post("/registry/add", {"model": "qwen3:8b", "size": "300KB"})
    fleet.simulated.reset()
    ran = fleet("outdated", "--detailed-exitcode")
    assert ran.code == 2
    row = ran.stdout.splitlines()[1]
    assert row.startswith("qwen3:8b  ")
    assert row.endswith("outdated")
    assert fleet.served("qwen3:8b")[:12] in row
    assert "missing (prod)" in row
    assert fleet.simulated.changing() == 0
    # A registry that wants a token is asked once more with it.
    assert fleet.asked() == {"registry": 2, "mirror.lan:5000": 2}

    told = fleet.json("outdated")
    states = {each["model"]: {held["host"]: held["state"] for held in each["hosts"]} for each in told["models"]}
    assert states["qwen3:8b"] == {"new": "outdated", "old": "outdated", "prod": "missing"}
    assert states["phi4:14b"] == {"new": "missing", "old": "current", "prod": "missing"}
    qwen = next(each for each in told["models"] if each["model"] == "qwen3:8b")
    assert (qwen["outdated"], qwen["lock_outdated"]) == (True, True)
    assert [held["as_locked"] for held in qwen["hosts"]] == [True, True, None]

    fleet.simulated.post("/hosts/prod/down")
    ran = fleet("outdated", "--model", "phi4:14b", ask=False)
    assert ran.code == 7
    assert "1 pulled model; no registry was asked (`ask_registries` is false); 1 host not seen" in ran.stdout
    ran = fleet("outdated", "-o", "markdown", manifest="version: 1\nmodels: {nope: , phi4:14b: }\n")
    assert ran.code == 3
    assert "| `nope:latest` | `missing (new, old); unobserved (prod)` | `-` | `-` | `-` | `not known` |" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("lock", "--host", "new"), 64, "only `--from-hosts` asks any"),
        (
            ("lock", "--upgrade", "qwen3:9b"),
            64,
            "`qwen3:9b` is no model that is pulled\n\nhint: did you mean `qwen3:8b`?",
        ),
        (
            ("lock", "--lock-file", "broken.lock"),
            4,
            "broken.lock:1: no lock file of fleet begins like this: `nonsense`",
        ),
        (("outdated", "--lock-file", "none.lock"), 4, "none.lock: the lock file cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_said_before_anybody_is_asked(
    run_fleet: FleetCommand, arguments: tuple[str, ...], code: int, words: str
) -> None:
    run_fleet.write("broken.lock", "nonsense\n")
    run_fleet.write("hosts.yaml", "version: 1\nhosts: {new: 127.0.0.1:9}\n")
    ran = run_fleet(*arguments, "-i", "hosts.yaml", manifest=MANIFEST)
    assert (ran.code, ran.stdout) == (code, "")
    assert words in ran.stderr


def test_a_setting_that_forbids_to_ask_is_obeyed(run_fleet: FleetCommand) -> None:
    ran = run_fleet("lock", manifest="version: 1\nhosts: {a: 127.0.0.1:9}\nmodels: {qwen3:8b: }\n")
    assert ran.code == 4
    assert "1 of 1 models have to be asked about, and `ask_registries` is false" in ran.stderr
    assert not Path(run_fleet.folder, "ollama-fleet.lock").exists()
