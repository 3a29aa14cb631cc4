"""Pins, the lock file and tags that are followed: which content counts, who is asked about it, and what a plan says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.fleet_command import FleetCommand
from tests.passes.registries import Asking, codes
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

FORMER = "{size: 200KB, seed: former, indented: true}"
TWO_AGES = f"""
hosts:
  old: {{version: 0.5.4, models: {{"qwen3:8b": {FORMER}}}}}
  new: {{version: 0.32.15, models: {{"qwen3:8b": {FORMER}}}}}
registry: {{models: {{"qwen3:8b": {FORMER}, "base:1b": {{size: 100KB}}}}}}
"""
ANOTHER = {"model": "qwen3:8b", "size": "300KB", "indented": True}
ASKING_NOBODY = {"OLLAMA_FLEET_ASK_REGISTRIES": "false"}


def pinned(digest: str) -> str:
    return f'version: 1\nmodels: {{"qwen3:8b": {{pull: {{pin: "{digest}"}}}}}}\n'


def following(update: str, *more: str) -> str:
    return f"version: 1\nmodels: {{{', '.join([f'qwen3:8b: {{pull: {{update: {update}}}}}', *more])}}}\n"


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Asking:
    """Two ages of servers that hold what the registry serves."""
    return Asking(run_fleet, simulate(TWO_AGES))


@pytest.mark.fault("R5")
def test_either_form_of_a_pin_fits_servers_of_every_age(fleet: Asking) -> None:
    raw, normalised = fleet.digests("new")["qwen3:8b"], fleet.digests("old")["qwen3:8b"]
    assert raw != normalised
    fleet.apply(manifest=pinned(raw))
    assert fleet.told("plan", manifest=pinned(normalised))["steps"] == []
    assert fleet.simulated.changing() == 0
    # Both forms are known from now on, whoever answers.
    fleet.fault("registry", {"fault": "unreachable"})
    fleet.simulated.reset()
    assert fleet.told("plan", manifest=pinned(raw))["steps"] == []
    assert fleet.asked() == {}


def test_a_pin_whose_other_form_nobody_knows_is_not_guessed(fleet: Asking) -> None:
    manifest = pinned(fleet.digests("new")["qwen3:8b"])
    before = fleet.store("old")
    ran = fleet("apply", "--yes", "-o", "json", manifest=manifest, settings=ASKING_NOBODY)
    told = json.loads(ran.stdout)
    assert (ran.code, codes(told, "failures")) == (3, {("old", "qwen3:8b", "FLT-223")})
    assert "servers before 0.19.0 may list the same content by another digest" in told["failures"][0]["hint"]
    assert fleet.store("old") == before

    assert fleet("lock").code == 0
    plan = fleet("plan", "--detailed-exitcode", settings=ASKING_NOBODY)
    assert plan.code == 0, "the lock file knows both forms"


def test_a_tag_that_is_followed_brings_what_the_plan_said(fleet: Asking) -> None:
    derived = 'short: {create: {from: "qwen3:8b", system: Be short.}}'
    fleet.apply(manifest=following("always", derived))
    fleet.simulated.post("/registry/add", ANOTHER)
    ran = fleet("plan", "--save", "moved.plan", "-o", "json")
    pulls = [step for step in json.loads(ran.stdout)["steps"] if step["action"] == "pull"]
    served, size = fleet.served()["qwen3:8b"], 300_000
    assert [(step["host"], step["reason"]) for step in pulls] == [("new", "digest-differs"), ("old", "digest-differs")]
    assert pulls[0]["new"] == served != pulls[1]["new"]
    assert all(size < step["bytes_to_transfer"] < size + 500 for step in pulls), "the template is there already"

    fleet.simulated.post("/registry/add", {**ANOTHER, "size": "310KB"})
    stale = fleet.command("apply", "moved.plan", environment={"OLLAMA_FLEET_ASK_REGISTRIES": "true"})
    assert stale.code == 6
    now = fleet.served()["qwen3:8b"]
    assert f"new: qwen3:8b: pull: what it brings was {served[7:19]}, is {now[7:19]}\n" in stale.stderr

    # Who is asked to wait a little waits.
    fleet.fault("registry", {"fault": "status", "status": 429, "retry_after": 1, "endpoint": "manifest", "times": 1})
    told = fleet.apply()
    assert told["summary"]["actions"] == {"pull": 2, "create": 2}
    assert fleet.digests("new")["qwen3:8b"] == now
    assert fleet.as_desired()


@pytest.mark.fault("R5")
def test_a_tag_that_moves_on_while_a_run_follows_it_is_left_to_the_next_plan(fleet: Asking) -> None:
    fleet.command.write("ollama-fleet.yaml", following("always"))
    fleet.simulated.post("/registry/add", ANOTHER)
    before = fleet.store("new")
    fleet.simulated.fault("new", {"fault": "stall", "endpoint": "pull"})
    settings = {"OLLAMA_FLEET_STALL_WINDOW": "200ms", "OLLAMA_FLEET_PULL_TRIES": "1000"}
    with fleet.start("apply", "--yes", "--host", "new", "-o", "jsonl", settings=settings) as process:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        next(line for line in lines if line["type"] == "step-begun")
        fleet.simulated.post("/registry/add", {**ANOTHER, "size": "310KB"})
        fleet.simulated.heal("new")
        report = next(line for line in lines if line["type"] == "report")
        assert process.wait(timeout=20) == 3
    (failure,) = report["failures"]
    assert failure["code"] == "FLT-223"
    assert failure["message"].endswith("; the former content was put back")
    assert failure["hint"] == "the tag moved while this ran: run again, and read what the plan brings then"
    assert fleet.store("new") == before


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "unreachable"},
        {"fault": "status", "status": 429, "retry_after": 3600, "endpoint": "manifest"},
        {"fault": "html"},
    ],
    ids=["down", "asks to wait an hour", "a captive portal"],
)
def test_a_registry_that_does_not_tell_changes_nothing(fleet: Asking, fault: dict[str, object]) -> None:
    fleet.fault("registry", fault)
    before = fleet.digests("old")
    manifest = following("always", 'short: {create: {from: "qwen3:8b", system: Hi}}')
    told = fleet.apply("--host", "old", manifest=manifest, code=3)
    code = "FLT-227" if fault["fault"] == "html" else "FLT-210"
    assert codes(told, "blocked") == {("old", "qwen3:8b", code)}
    assert told["blocked"][0]["message"].startswith("`qwen3:8b` could not be compared: http://127.0.0.1:")
    assert ("and asks to wait 3600s" in told["blocked"][0]["message"]) == ("retry_after" in fault)
    assert told["failures"] == []
    assert {name: digest for name, digest in fleet.digests("old").items() if name in before} == before
    assert "short:latest" in fleet.digests("old"), "what is made of it goes on"


@pytest.mark.fault("R1", "R5")
def test_what_a_registry_does_not_have_is_told_before_anything_is_pulled(fleet: Asking) -> None:
    manifest = "version: 1\nmodels: {nope: , nada: , base:1b: }\n"
    ran = fleet("plan", "--host", "new", manifest=manifest)
    assert ran.code == 0
    assert (
        "note: its registry tells nothing of `nada:latest` and 1 more: Ollama's registry has no `nada:latest`"
        in ran.stderr
    )
    assert "(FLT-207)" in ran.stderr
    told = fleet.apply("--host", "new", code=3)
    assert codes(told, "failures") == {("new", "nada:latest", "FLT-207"), ("new", "nope:latest", "FLT-207")}
    assert "base:1b" in fleet.digests("new")


MANY = """
hosts:
  gpu-[01:20]: {models: {"phi4:14b": {size: 300KB}}}
registry: {models: {"qwen3:8b": {size: 200KB}, "phi4:14b": {size: 300KB, license: MIT}}}
"""


def test_twenty_hosts_are_one_question(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = Asking(run_fleet, simulate(MANY))
    # One host says how much it has in all.
    inventory = run_fleet.folder / "hosts.yaml"
    written = yaml.safe_load(inventory.read_text(encoding="utf-8"))
    written["hosts"]["gpu-01"] = {"url": written["hosts"]["gpu-01"], "capacity": {"disk": "400KB"}}
    inventory.write_text(yaml.safe_dump(written), encoding="utf-8")

    told = fleet.told("plan", manifest=following("missing", "phi4:14b: {pull: {update: always}}"), code=3)
    assert fleet.asked() == {"manifest": 2}
    sizes = {step["host"]: step["bytes_to_transfer"] for step in told["steps"] if step["model"] == "qwen3:8b"}
    assert len(sizes) == 19
    assert all(200_000 < size < 200_500 for size in sizes.values())
    # What is common to the former and the new content is not transferred again: all but the licence.
    licences = {step["bytes_to_transfer"] for step in told["steps"] if step["model"] == "phi4:14b"}
    assert len(licences) == 1
    assert licences.pop() < 500
    (small,) = told["blocked"]
    assert (small["host"], small["model"], small["code"]) == ("gpu-01", "qwen3:8b", "FLT-314")
    assert "it needs 200 KB; of the host's 400 KB, 301 KB are taken" in small["message"]


LINE = f"qwen3:8b sha256:{'a' * 64} sha256:{'b' * 64} 5 2026-01-31\n"
HEAD = "# fleet lock file, format 1\n"


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (None, "ollama-fleet.yaml:2:10: models.qwen3:8b: it follows the lock file, and "),
        (
            HEAD + LINE.replace("qwen3:8b", "qwen3:4b"),
            "ollama-fleet.yaml:2:10: models.qwen3:8b: it follows the lock file",
        ),
        (HEAD + LINE.replace("aaa", "", 1), "ollama-fleet.lock:2: "),
        (HEAD + "<<<<<<< ours\n" + LINE + "=======\n", "ollama-fleet.lock:2: a mark of a merge conflict"),
        (LINE, "ollama-fleet.lock:1: no lock file of fleet begins like this"),
    ],
    ids=["none", "not in it", "edited", "a merge conflict", "no lock file"],
)
def test_without_a_sound_lock_file_nobody_is_asked(run_fleet: FleetCommand, lock: str | None, words: str) -> None:
    run_fleet.write("hosts.yaml", "version: 1\nhosts: {new: 127.0.0.1:9}\n")
    if lock is not None:
        run_fleet.write("ollama-fleet.lock", lock)
    ran = run_fleet("apply", "--yes", "-i", "hosts.yaml", manifest=following("locked"))
    assert (ran.code, ran.stdout) == (4, "")
    assert words in ran.stderr
    assert not Path(run_fleet.folder, "state").exists()
