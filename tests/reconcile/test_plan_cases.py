"""Runs `tests/cases/plan`: one small file a case, from what is wanted and what is there to what is planned.

A step is written `host action model (reason)`, with `<- 1 2` for the numbers of the steps that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.codes import Code
from fleet.manifest.pattern import matches
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Reason, State
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.step import Plan, Step
from fleet.state.evidence import Evidence
from tests.reconcile import notation

CASES = sorted((Path(__file__).parents[1] / "cases" / "plan").glob("*.yaml"))
SAID = (
    *("about", "desired", "observed", "hosts", "protect", "max_deletes", "remembered", "scope", "allow", "only"),
    *("served", "locked", "rebuild", "prune", "sources", "theirs"),
)
EXPECTED = ("plan", "details", "blocked", "refused", "unobserved", "suspended", "states")


def read(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return case


def planned(case: Mapping[str, Any]) -> Plan:
    desired = notation.desired(case)
    allow = case.get("allow", {})
    only = case.get("only")

    def wanted(model: ModelName) -> bool:
        return any(matches(glob, model) for glob in only or ())

    remembered = notation.remembered(case["remembered"]) if "remembered" in case else None

    def recorded(host: HostName) -> Mapping[ModelName, Evidence]:
        known = remembered.hosts.get(host) if remembered else None
        return known.evidence if known else {}

    return plan(
        desired,
        {
            HostName(host): notation.observation(host, about, desired.hosts[HostName(host)], recorded(HostName(host)))
            for host, about in case["observed"].items()
        },
        fingerprint="f",
        remembered=remembered,
        scope=case.get("scope", ""),
        sources=case.get("sources", ""),
        allowance=Allowance(
            allow.get("max_deletes"),
            frozenset(HostName(host) for host in allow.get("emptied", ())),
            allow.get("shrunk", False),
            allow.get("sources", False),
        ),
        wanted=None if only is None else wanted,
        known=notation.known(case),
    )


def line(step: Step) -> str:
    needs = "".join(f" {number}" for number in step.needs)
    return f"{step.host} {step.action} {step.listed} ({step.reason})" + (f" <-{needs}" if needs else "")


def details(step: Step) -> dict[str, Any]:
    """Everything of a step that a case may ask for; letters stand for digests, as in the notation."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    letters = {notation.digest(letter + end): letter + end for letter in alphabet for end in ("", "-go", "-weights")}
    return {
        "old": letters[step.old] if step.old else None,
        "new": letters[step.new] if step.new else None,
        "new_after": step.new_after,
        "presumes": letters[step.presumes] if step.presumes else None,
        "in": step.bytes_in,
        "freed": step.bytes_freed,
        "source": str(step.source) if step.source else None,
        "changes": [f"{change.field}: {change.old} -> {change.new}" for change in step.changes],
        "keep": step.item.warm.keep_alive if step.item and step.item.warm else None,
    }


def states(made: Plan) -> list[str]:
    lines = []
    for host in made.hosts:
        for each in host.items:
            warm = f", warm {each.warmth.state}" if each.warmth else ""
            lines.append(f"{host.host} {each.item.name} {each.state}{warm}")
    return lines


@pytest.mark.fault("U9", "U10", "U12", "W1", "W2", "W3", "W6", "W10", "D11", "D12", "H11", "H16")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan_of_the_case(path: Path) -> None:
    case = read(path)
    assert not case.keys() - {*SAID, *EXPECTED}
    made = planned(case)
    assert [line(step) for step in made.steps] == case.get("plan", [])
    assert [f"{b.host} {b.model} {b.blocked.code.name}" for b in made.blocked] == case.get("blocked", [])
    assert [f"{r.host or 'all'} {r.code.name}" for r in made.refused] == case.get("refused", [])
    assert [u.host for u in made.unobserved] == case.get("unobserved", [])
    assert dict(made.suspended) == case.get("suspended", {})
    if "states" in case:
        assert states(made) == case["states"]
    for number, wanted in case.get("details", {}).items():
        found = details(made.steps[number - 1])
        assert {key: found[key] for key in wanted} == wanted
    assert [step.number for step in made.steps] == list(range(1, len(made.steps) + 1))
    for step in made.steps:
        assert all(number < step.number for number in step.needs)


def test_every_case_says_what_it_is_about() -> None:
    about = [read(path).get("about") for path in CASES]
    assert all(about)
    assert len(set(about)) == len(about)


def test_the_cases_reach_every_reason_code_and_state() -> None:
    made = [planned(read(path)) for path in CASES]
    assert {step.reason for each in made for step in each.steps} == set(Reason)
    assert {b.blocked.code for each in made for b in each.blocked} == {
        code for code in Code if 300 < code.value.number < 400 and code is not Code.UNVERIFIED
    } | {Code.REGISTRY_TROUBLE, Code.REGISTRY_UNAUTHORIZED, Code.CHECK_FAILED}
    assert {r.code for each in made for r in each.refused} == {
        Code.TOO_MANY_DELETES,
        Code.PROTECTED,
        Code.FROZEN,
        Code.DESIRED_SHRANK,
        Code.HOST_EMPTIED,
        Code.SOURCES_CHANGED,
        Code.FILTERED,
        Code.HOST_NEW,
    }
    assert {d.state for each in made for host in each.hosts for d in host.items} == set(State)
