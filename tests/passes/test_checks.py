"""New content is asked the questions of its entry: what fails is told, remembered, and not made an alias's target."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fleet_command import FleetCommand
from tests.passes.registries import Asking, codes
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

SCENARIO = """
hosts:
  old: {version: 0.5.4, models: {"base:1b": {size: 100KB}, chat: {size: 90KB, seed: former}}}
  new:
    version: 0.32.15
    models: {"base:1b": {size: 100KB}, chat: {size: 90KB, seed: former}}
    answers: [{prompt: "*2+2*", says: "5, I think"}]
registry: {models: {"base:1b": {size: 100KB}, "vectors:1": {size: 80KB, embedding_length: 768, capabilities: [embedding]}}}
"""
MANIFEST = """
version: 1
models:
  base:1b:
  vectors:1: {check: [{embed: Some text, dimensions: 768}]}
  acme/made:
    create: {from: "base:1b", system: Answer with numbers.}
    check:
      - {chat: [{role: user, content: As JSON}], format: json}
      - {prompt: "What is 2+2?", expect: "(?i)\\\\b4\\\\b|simulated", options: {temperature: 0, seed: 1}, within: 60s}
  chat: {alias: acme/made}
"""
ASKED = {"generate", "chat", "embed"}


@pytest.fixture
def fleet(run_fleet: FleetCommand, simulate: Simulate) -> Asking:
    run_fleet.write("ollama-fleet.yaml", MANIFEST)
    return Asking(run_fleet, simulate(SCENARIO))


def asked(fleet: Asking) -> set[tuple[str, str, str]]:
    """Host, model and kind of the questions since the last reset."""
    return {(each["host"], each["model"], each["kind"]) for each in fleet.simulated.requests() if each["kind"] in ASKED}


def test_a_model_that_fails_is_told_and_remembered_until_it_answers_better(fleet: Asking) -> None:
    former = fleet.digests("new")["chat:latest"]
    told = fleet.apply(code=3)
    assert codes(told, "failures") == {
        ("new", "acme/made:latest", "FLT-224"),
        ("new", "chat:latest", "FLT-220"),
    }
    failed = told["failures"][0]["message"]
    assert failed.startswith(
        "`acme/made:latest` failed its check: question 2 of 2, prompt `What is 2+2?`: answered `5, I think`, in which "
    )
    outcomes = {(each["host"], each["model"], each["action"]): each["outcome"] for each in told["results"]}
    assert outcomes["new", "vectors:1", "check"] == outcomes["old", "acme/made:latest", "check"] == "done"
    assert outcomes["new", "acme/made:latest", "check"] == "failed"
    assert outcomes["new", "chat:latest", "copy"] == "not-tried"
    assert fleet.digests("new")["chat:latest"] == former, "no alias moves to what failed"
    assert fleet.digests("old")["chat:latest"] == fleet.digests("old")["acme/made:latest"]
    assert asked(fleet) == {
        *((host, "vectors:1", "embed") for host in ("old", "new")),
        *((host, "acme/made:latest", kind) for host in ("old", "new") for kind in ("generate", "chat")),
    }

    fleet.simulated.reset()
    told = fleet.apply(code=3)
    assert codes(told, "blocked") == {("new", "acme/made:latest", "FLT-224"), ("new", "chat:latest", "FLT-308")}
    assert told["results"] == []
    shown = fleet("status").stdout
    assert failed in shown
    assert shown.splitlines()[-1] == "6 of 8 items as desired on 2 hosts"
    assert asked(fleet) == set(), "nobody is asked twice about the same content"

    fleet.simulated.post("/hosts/new/answers", {"answers": []})
    assert fleet("check", "--host", "new").code == 0
    told = fleet.apply()
    assert [(step["host"], step["model"], step["action"]) for step in told["steps"]] == [("new", "chat:latest", "copy")]
    assert fleet.digests("new")["chat:latest"] == fleet.digests("new")["acme/made:latest"]


def test_other_questions_and_other_content_are_asked_anew(fleet: Asking) -> None:
    fleet.simulated.post("/hosts/new/answers", {"answers": []})
    fleet.apply("--host", "new")
    for manifest in (MANIFEST.replace("2+2", "3+1"), MANIFEST.replace("768", "768, within: 30s")):
        told = fleet.told("plan", "--host", "new", manifest=manifest)
        assert [step["action"] for step in told["steps"]] == ["check"]
    told = fleet.told("plan", "--host", "new", manifest=MANIFEST.replace("numbers", "figures"))
    assert [(step["action"], step["model"]) for step in told["steps"]] == [
        ("create", "acme/made:latest"),
        ("check", "acme/made:latest"),
        ("copy", "chat:latest"),
    ]


ONE_EACH = """
version: 1
models:
  prose:1: {check: [{prompt: As JSON, format: json}]}
  short:1: {check: [{embed: Text, dimensions: 1024}]}
  slow:1: {check: [{prompt: Hi, within: 200ms}]}
  mute:1: {check: [{prompt: Speak}]}
  deaf:1: {check: [{embed: Text}]}
  well:1: {check: [{prompt: Hi}]}
"""
HOSTS = """
hosts:
  old: {version: 0.5.4}
  new: {version: 0.32.15}
registry:
  models:
    prose:1: {size: 50KB}
    slow:1: {size: 51KB}
    mute:1: {size: 52KB}
    deaf:1: {size: 53KB}
    well:1: {size: 54KB}
    short:1: {size: 80KB, embedding_length: 768, capabilities: [embedding]}
"""
ANSWERS = [
    {"model": "prose:1", "says": "no JSON at all"},
    {"model": "slow:1", "says": "Hi", "takes": "10s"},
    {"model": "mute:1", "says": ""},
]


def test_each_way_to_fail_has_its_words(run_fleet: FleetCommand, simulate: Simulate) -> None:
    fleet = Asking(run_fleet, simulate(HOSTS))
    for host in ("old", "new"):
        fleet.simulated.post(f"/hosts/{host}/answers", {"answers": ANSWERS})
    told = fleet.apply(code=3, manifest=ONE_EACH)
    assert {each["code"] for each in told["failures"]} == {"FLT-224"}
    words = {
        (each["host"], each["model"]): each["message"].partition(" failed its check: ")[2] for each in told["failures"]
    }
    for host in ("old", "new"):
        assert words.pop((host, "prose:1")) == "prompt `As JSON`: answered `no JSON at all`, which is no JSON"
        assert words.pop((host, "short:1")) == (
            "embed `Text`: answered a vector of 768 dimensions, and 1024 are expected"
        )
        assert words.pop((host, "slow:1")) == "prompt `Hi`: no whole answer within 200ms"
        assert words.pop((host, "mute:1")) == "prompt `Speak`: answered nothing"
    # Old servers make a vector of any model.
    assert words.keys() == {("new", "deaf:1")}
    assert words["new", "deaf:1"].startswith("embed `Text`: the server says `This server does not support embeddings.")
