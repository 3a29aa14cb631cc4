"""Hosts that may reach a mirror alone, and may have what a person accepted alone: it comes, or the run says why not."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fleet_command import FleetCommand
from tests.passes.registries import Asking, codes
from tests.simulated import Simulated

EXAMPLES = Path(__file__).parents[2] / "examples"
SCENARIO = (EXAMPLES / "scenarios/airgap.yaml").read_text(encoding="utf-8")
MIRROR = "mirror.lan:5000"
SERVED: dict[str, dict[str, Any]] = yaml.safe_load(SCENARIO)["registries"][MIRROR]["models"]
ANOTHER = {"model": "qwen3:8b", "size": "350KB", "family": "qwen3", "indented": True}
"""What the tag stands for after it moved."""
HELD = {
    "qwen3:8b": "qwen3:8b",
    "chat": "qwen3:8b",
    "nomic-embed-text": "nomic-embed-text",
    "acme/helper": "team/helper:2",
}
"""What a host has that is as desired, and as what the mirror serves it."""
NAMES = {"qwen3:8b", "chat:latest", "nomic-embed-text:latest", "acme/helper:latest"}
UNDER_WAY = f"{MIRROR}/library/qwen3:8b"
OLD, MIDDLE, NEW = "gpu-a", "gpu-b", "gpu-c"


@pytest.fixture
def gap(run_fleet: FleetCommand, simulate: Callable[[str], Simulated]) -> Asking:
    """The example, with its lock file, in the command's folder."""
    shutil.copytree(EXAMPLES / "manifests/airgap", run_fleet.folder / "airgap")
    return Asking(run_fleet, simulate(SCENARIO), "-i", "airgap/inventory.yaml", "-f", "airgap/models.yaml")


def hold(gap: Asking, host: str, *names: str) -> None:
    """The host has these models as the mirror serves them."""
    for name in names:
        source = HELD[name]
        seed = source if ":" in source else f"{source}:latest"
        gap.simulated.post(f"/hosts/{host}/seed", {"model": name, "seed": seed, **SERVED[source]})


def move(gap: Asking) -> None:
    gap.simulated.post(f"/registries/{MIRROR}/add", ANOTHER)


def locked(gap: Asking, name: str) -> tuple[str, str]:
    """Both digests of the lock file."""
    lines = (gap.command.folder / "airgap/ollama-fleet.lock").read_text(encoding="utf-8").splitlines()
    raw, normalised = next(line.split()[1:3] for line in lines if line.startswith(f"{name} "))
    return raw, normalised


def test_what_was_accepted_comes_through_the_mirror_to_hosts_of_every_age(gap: Asking) -> None:
    ran = gap("lock", "--check", "--upgrade")
    assert ran.code == 0, f"the example's lock file is not what its scenario serves: {ran.stdout}"
    told = gap.apply()
    assert {step["source"] for step in told["steps"] if step["action"] == "pull"} == {
        f"{MIRROR}/library/qwen3:8b",
        f"{MIRROR}/library/nomic-embed-text:latest",
        f"{MIRROR}/team/helper:2",
    }
    raw, normalised = locked(gap, "qwen3:8b")
    for host, digest in ((OLD, normalised), (MIDDLE, normalised), (NEW, raw)):
        held = gap.digests(host)
        assert held.keys() == NAMES, "the mirror's names are gone"
        assert held["qwen3:8b"] == held["chat:latest"] == digest
        assert (
            next(step["new"] for step in told["steps"] if (step["host"], step["model"]) == (host, "qwen3:8b")) == digest
        )
    assert gap.as_desired()
    assert gap.asked("registry") == gap.asked("registry", client="ollama") == {}


def test_without_the_mirror_nothing_is_even_begun(gap: Asking) -> None:
    gap.arguments = (*gap.arguments[:2], "-f", "airgap/models.yaml")
    ran = gap("apply", "--yes")
    assert ran.code == 4
    assert "models.qwen3:8b: the registry `registry.ollama.ai` is not among `registries`" in ran.stderr
    assert gap.simulated.changing() == 0


def test_a_tag_that_moved_changes_nothing_until_somebody_accepts_it(gap: Asking) -> None:
    for host in (OLD, MIDDLE):
        hold(gap, host, *HELD)
    hold(gap, NEW, "nomic-embed-text", "acme/helper")
    assert gap("check").code == 0
    move(gap)
    before = {host: gap.store(host) for host in (OLD, MIDDLE, NEW)}
    gap.simulated.reset()

    assert gap.as_desired("--host", "gpu-[ab]")
    assert gap.asked(MIRROR) == {}, "who has what was accepted hangs on no registry"
    told = gap.apply(code=3)
    assert codes(told, "blocked") == {(NEW, "qwen3:8b", "FLT-313"), (NEW, "chat:latest", "FLT-308")}
    raw, _ = locked(gap, "qwen3:8b")
    another = gap.served(MIRROR)["qwen3:8b"]
    assert told["blocked"][1]["message"] == (
        f"{raw[:19]} is in the lock file, and `{MIRROR}/library/qwen3:8b` is {another[:19]} in its registry now"
    )
    assert told["steps"] == []
    assert {host: gap.store(host) for host in (OLD, MIDDLE, NEW)} == before
    assert gap.simulated.changing() == 0

    assert gap("lock", "--upgrade", "qwen3:8b").code == 0
    told = gap.apply()
    assert told["counts"]["as_desired"] == told["counts"]["items"] == 12
    raw, normalised = locked(gap, "qwen3:8b")
    assert raw == another
    gone = {blob["digest"] for blob in before[OLD]["models"]["qwen3:8b"]["layers"] if blob["kind"] == "model"}
    for host, digest in ((OLD, normalised), (MIDDLE, normalised), (NEW, raw)):
        held = gap.digests(host)
        assert held.keys() == NAMES, "neither backups nor the mirror's names stay"
        assert held["qwen3:8b"] == held["chat:latest"] == digest
        assert not gone & gap.store(host)["blobs"].keys()
        assert gap.store(host)["orphans"] == {}


@pytest.mark.fault("R5")
def test_a_tag_that_moves_between_question_and_pull_is_taken_back(gap: Asking) -> None:
    gap.simulated.post(f"/hosts/{NEW}/seed", {"model": "qwen3:8b", "size": "90KB"})
    before = {host: gap.store(host) for host in (OLD, NEW)}
    for host in before:
        gap.simulated.fault(host, {"fault": "stall", "endpoint": "pull"})
    # Pulls stall and are begun again until the tag has moved.
    settings = {"OLLAMA_FLEET_STALL_WINDOW": "200ms", "OLLAMA_FLEET_PULL_TRIES": "1000"}
    options = ("--yes", "--host", "gpu-[ac]", "--model", "qwen3", "-o", "jsonl")
    with gap.start("apply", *options, settings=settings) as process:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        for _ in before:
            next(line for line in lines if line["type"] == "step-begun")
        move(gap)
        for host in before:
            gap.simulated.heal(host)
        report = next(line for line in lines if line["type"] == "report")
        assert process.wait(timeout=20) == 3
    assert codes(report, "failures") == {(OLD, "qwen3:8b", "FLT-223"), (NEW, "qwen3:8b", "FLT-223")}
    brought, allowed = gap.served(MIRROR)["qwen3:8b"], sorted(digest[:19] for digest in locked(gap, "qwen3:8b"))
    told = next(failure["message"] for failure in report["failures"] if failure["host"] == NEW)
    assert told == f"the pull brought {brought[:19]}, and only {' or '.join(allowed)} may be installed"
    assert {host: gap.store(host) for host in before} == before


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"fault": "no-redirect", "endpoint": "blob"}, "FLT-213", "http: no Location header in response"),
        ({"fault": "unreachable"}, "FLT-210", f'Get "https://{MIRROR}/v2/library/qwen3/manifests/8b"'),
    ],
    ids=["serves blobs itself", "is down"],
)
def test_what_is_wrong_with_the_mirror_is_told_and_what_is_there_stays(
    gap: Asking, fault: dict[str, Any], code: str, words: str
) -> None:
    for host in (OLD, MIDDLE):
        hold(gap, host, *HELD)
    gap.simulated.post(f"/hosts/{NEW}/seed", {"model": "qwen3:8b", "size": "90KB"})
    gap.fault(MIRROR, fault)
    before = {host: gap.store(host) for host in (OLD, MIDDLE, NEW)}
    ran = gap("apply", "--yes", "--model", "qwen3", "-o", "json")
    assert ran.code == 3
    told = json.loads(ran.stdout)
    assert codes(told, "failures") == {(NEW, "qwen3:8b", code)}
    assert words in told["failures"][0]["message"]
    assert ("its registry tells nothing of" in ran.stderr) == (code == "FLT-210")
    step = next(step for step in told["steps"])
    assert (step["new"], step["bytes_to_transfer"] is None) == (locked(gap, "qwen3:8b")[0], code == "FLT-210")
    assert {host: gap.store(host)["models"] for host in before} == {host: before[host]["models"] for host in before}
    assert gap("apply", "--yes", "--model", "qwen3", "--host", "gpu-[ab]").code == 0


@pytest.mark.parametrize("endpoint", ["copy", "delete"])
def test_a_run_killed_on_the_way_leaves_no_name_of_the_mirror_for_long(gap: Asking, endpoint: str) -> None:
    """Whatever the tag stands for by then: what was accepted is there already."""
    killed_at(gap, endpoint)
    move(gap)
    told = gap.apply("--host", OLD)
    held = gap.digests(OLD)
    assert held.keys() == NAMES
    assert held["qwen3:8b"] == locked(gap, "qwen3:8b")[1]
    left = [(step["action"], step["reason"]) for step in told["steps"] if step["model"] == UNDER_WAY]
    assert left == ([("delete", "left-over")] if endpoint == "delete" else [])


def test_what_a_killed_run_left_goes_also_where_nothing_can_be_pulled(gap: Asking) -> None:
    killed_at(gap, "copy")
    move(gap)
    # Of what lies there nobody can tell any more how it came to be so.
    gap.simulated.post(f"/hosts/{OLD}/seed", {"model": UNDER_WAY, "size": "70KB"})
    told = gap.apply("--host", OLD, code=3)
    assert codes(told, "blocked") == {(OLD, "qwen3:8b", "FLT-313"), (OLD, "chat:latest", "FLT-308")}
    assert gap.digests(OLD).keys() == {"nomic-embed-text:latest", "acme/helper:latest"}


def killed_at(gap: Asking, endpoint: str) -> None:
    """A run that is killed while the host is at the copy to the declared name, or at the delete of the mirror's."""
    gap.simulated.fault(OLD, {"fault": "silence", "endpoint": endpoint, "headers": False})
    declared = "qwen3:8b"
    with gap.start("apply", "--host", OLD, "--model", declared, "--yes") as process:
        while not {UNDER_WAY, *([declared] if endpoint == "delete" else [])} <= gap.simulated.names(OLD):
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
    gap.simulated.heal(OLD)


def test_a_name_that_was_there_before_is_not_fleets_to_drop(gap: Asking) -> None:
    gap.simulated.post(f"/hosts/{NEW}/seed", {"model": f"{MIRROR}/team/helper:2", "size": "90KB"})
    gap.apply("--host", NEW, "--model", "acme/helper")
    held = gap.digests(NEW)
    assert held.keys() == {f"{MIRROR}/team/helper:2", "acme/helper:latest"}
    assert held["acme/helper:latest"] == locked(gap, "acme/helper:latest")[0]
