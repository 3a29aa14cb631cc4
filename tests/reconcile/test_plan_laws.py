"""What holds for every plan, whatever is desired and observed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.names import HostName, ModelName
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.saved import step_as_json
from fleet.reconcile.step import Action, Plan
from tests.reconcile import notation
from tests.reconcile.pretended import carried_out, registry

About = dict[str, Any]
NAMES = ("p:1", "pp:1", "q:1", "r:1", "c:1", "d:1", "e:1", "a:1", "b:1")
STRAY = ("old-p:1", "old-q:1", "gone:1", "other:1")
VERSIONS = ("0.3.11", "0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15")

law = settings(max_examples=25, derandomize=True, deadline=None, database=None)

texts = st.sampled_from(["", "hi", "ho"])
parameters = st.dictionaries(st.sampled_from(["num_ctx", "temperature"]), st.sampled_from([2048, 4096]), max_size=2)
warms = st.one_of(
    st.none(),
    st.just(True),
    st.fixed_dictionaries({"keep": st.sampled_from([None, 600]), "options": st.sampled_from([{}, {"num_ctx": 2048}])}),
)


@st.composite
def entries(draw: st.DrawFn, *, absent: bool = True) -> About:
    """What one host is to have: each item may be made from those before it."""
    chosen = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    found: About = {}
    for position, name in enumerate(chosen):
        about: About = {}
        sources = [*chosen[:position], draw(st.sampled_from(STRAY))]
        kind = draw(st.sampled_from(["pull", "create", "alias"]))
        if kind == "create":
            about["create"] = {"from": draw(st.sampled_from(sources)), "parameters": draw(parameters)}
            about["create"] |= draw(st.fixed_dictionaries({}, optional={"system": texts, "template": texts}))
            about["create"]["license"] = draw(st.sampled_from([[], ["MIT"]]))
        elif kind == "alias":
            about["alias"] = draw(st.sampled_from(sources))
        about["warm"] = draw(warms)
        about["freeze"] = draw(st.integers(0, 9)) == 9
        found[name] = about
    if absent:
        found |= dict.fromkeys(draw(st.lists(st.sampled_from(["old-*", "gone:1"]), unique=True)), "absent")
    return found


@st.composite
def observations(draw: st.DrawFn) -> About:
    """What one host shows: whole and broken models of few contents, and runners of what is there or was."""
    models: About = {}
    for name in draw(st.lists(st.sampled_from(NAMES + STRAY), unique=True, max_size=8)):
        about = draw(
            st.one_of(
                st.just(registry(name)),
                st.fixed_dictionaries(
                    {"weights": st.sampled_from([["p"], ["q"]]), "system": texts, "parameters": parameters}
                ),
            )
        )
        models[name] = {**about, "is": about.get("is", f"some {about!r}")}
    broken = draw(st.sampled_from([about["is"] for about in models.values()] + [None] * 9))
    for name, about in models.items():
        models[name] = {**about, "broken": about["is"] == broken}
    runners: list[About] = []
    for name in draw(st.lists(st.sampled_from(sorted(models)), unique=True, max_size=3)) if models else ():
        weights = models[name]["weights"]
        if all(runner["weights"] != weights for runner in runners):
            former = draw(st.booleans())
            runners.append(
                {
                    "name": name,
                    "is": "former" if former else models[name]["is"],
                    "weights": draw(st.sampled_from([weights, ["lost"]])) if former else weights,
                    "num_ctx": 4096,
                    "left": draw(st.sampled_from([100, 500, "for ever"])),
                }
            )
    version = draw(st.sampled_from(VERSIONS))
    for runner in runners:
        runner["context"] = 4096 if version not in {"0.3.11", "0.5.4", "0.9.6"} else None
    return {"version": version, "models": models, "runners": runners}


def planned(desired: About, observed: About, **arguments: Any) -> Plan:
    wanted = notation.desired({"desired": desired, "max_deletes": 9})
    return plan(
        wanted,
        {
            HostName(host): notation.observation(host, about, wanted.hosts[HostName(host)])
            for host, about in observed.items()
        },
        **arguments,
    )


def as_bytes(made: Plan) -> bytes:
    return json.dumps([step_as_json(step) for step in made.steps]).encode()


@pytest.mark.fault("P12")
@settings(law, max_examples=75)
@given(entries(), observations())
def test_planning_again_after_carrying_out_gives_no_steps(desired: About, observed: About) -> None:
    made = planned({"alpha": desired}, {"alpha": observed})
    after = carried_out(observed, made.steps)
    again = planned({"alpha": desired}, {"alpha": after})
    assert [f"{step.action} {step.model} ({step.reason})" for step in again.steps] == []


@law
@given(entries(absent=False), observations())
def test_nothing_is_deleted_that_no_entry_asks_for(desired: About, observed: About) -> None:
    made = planned({"alpha": desired}, {"alpha": observed})
    assert not [step for step in made.steps if step.action is Action.DELETE]
    assert set(carried_out(observed, made.steps)["models"]) >= set(observed["models"])


@law
@given(entries(), observations())
def test_an_unseen_host_gets_no_steps_and_changes_no_other(desired: About, observed: About) -> None:
    alone = planned({"alpha": desired}, {"alpha": observed})
    beside = planned({"aaa": desired, "alpha": desired}, {"aaa": "NO_ANSWER", "alpha": observed})
    assert as_bytes(beside) == as_bytes(alone)
    assert [unseen.host for unseen in beside.unobserved] == ["aaa"]


@pytest.mark.invariant("I2")
@law
@given(entries(), observations(), entries(), observations(), st.randoms(use_true_random=False))
def test_equal_input_in_any_order_gives_an_equal_plan(
    desired: About, observed: About, other: About, seen: About, random: Any
) -> None:
    straight = planned({"alpha": desired, "beta": other}, {"alpha": observed, "beta": seen})
    wanted = notation.desired({"desired": {"beta": other, "alpha": desired}, "max_deletes": 9})
    shuffled: dict[HostName, Observation] = {}
    for host, about in (("beta", seen), ("alpha", observed)):
        found = notation.observation(host, about, wanted.hosts[HostName(host)])
        assert isinstance(found, Observed)
        models, contents = list(found.models.items()), list(found.contents.items())
        random.shuffle(models)
        random.shuffle(contents)
        shuffled[HostName(host)] = replace(found, models=dict(models), contents=dict(contents))
    made = plan(wanted, shuffled)
    assert made == straight
    assert as_bytes(made) == as_bytes(straight)


@pytest.mark.invariant("I10")
@law
@given(entries(), observations(), entries(), observations())
def test_one_host_changes_nothing_on_another(desired: About, observed: About, other: About, seen: About) -> None:
    alone = planned({"alpha": desired}, {"alpha": observed})
    beside = planned({"alpha": desired, "beta": other}, {"alpha": observed, "beta": seen})
    assert [step for step in beside.steps if step.host == "alpha"] == list(alone.steps)


@law
@given(entries(), observations())
def test_the_spelling_of_a_host_changes_only_what_is_said_to_it(desired: About, observed: About) -> None:
    shouting = {
        **observed,
        "models": {name.upper(): about for name, about in observed["models"].items()},
        "runners": [{**runner, "name": runner["name"].upper()} for runner in observed["runners"]],
    }
    quiet = planned({"alpha": desired}, {"alpha": observed}).steps
    loud = planned({"alpha": desired}, {"alpha": shouting}).steps
    assert [(s.model, s.action, s.reason, s.needs) for s in loud] == [
        (s.model, s.action, s.reason, s.needs) for s in quiet
    ]
    listed = {str(ModelName.parse(name)): name for name in shouting["models"]}
    assert all(step.listed == listed.get(str(step.model).upper(), step.listed) for step in loud)


@pytest.mark.invariant("I8")
@law
@given(entries(), observations())
def test_every_step_comes_after_what_it_needs_and_deletes_after_everything(desired: About, observed: About) -> None:
    steps = planned({"alpha": desired}, {"alpha": observed}).steps
    content = {step.model: step for step in steps if step.action in {Action.PULL, Action.CREATE, Action.COPY}}
    for step in steps:
        needed = content.get(step.source) if step.source is not None and step.action is not Action.LOAD else None
        assert needed is None or needed.number in step.needs
        if step.action is Action.LOAD and step.model in content:
            assert content[step.model].number in step.needs
        if step.action is Action.DELETE:
            kept = {other.number for other in steps if other.item is not None}
            assert kept <= set(step.needs)
        if step.action is Action.UNLOAD and step.item is not None and step.model in content:
            assert step.number < content[step.model].number


@law
@given(entries(), observations(), st.sampled_from(NAMES))
def test_a_filter_only_leaves_steps_out(desired: About, observed: About, name: str) -> None:
    def key(made: Plan) -> set[tuple[ModelName, Action]]:
        return {(step.model, step.action) for step in made.steps}

    whole = planned({"alpha": desired}, {"alpha": observed})
    part = planned({"alpha": desired}, {"alpha": observed}, wanted=lambda model: model == ModelName.parse(name))
    assert key(part) <= key(whole)
    assert part.filtered
    held = {ModelName.parse(name)} if not any(r.code.name == "FROZEN" for r in whole.refused) else set()
    assert {(model, action) for model, action in key(whole) if model in held} <= key(part)


@law
@given(entries(), observations(), st.integers(0, 4))
def test_more_deletes_than_allowed_are_none(desired: About, observed: About, limit: int) -> None:
    whole = planned({"alpha": desired}, {"alpha": observed})
    limited = planned({"alpha": desired}, {"alpha": observed}, allowance=Allowance(max_deletes=limit))
    count = sum(step.action is Action.DELETE for step in whole.steps)
    kept = sum(step.action is Action.DELETE for step in limited.steps)
    assert kept == (count if count <= limit else 0)
    assert [s.model for s in limited.steps if s.item is not None] == [
        s.model for s in whole.steps if s.item is not None
    ]


def test_a_very_long_chain_is_planned_in_order() -> None:
    desired: About = {"m0:1": {}} | {f"m{n}:1": {"alias": f"m{n - 1}:1"} for n in range(1, 1500)}
    steps = planned({"alpha": desired}, {"alpha": []}).steps
    assert [str(step.model) for step in steps] == [f"m{n}:1" for n in range(1500)]
    assert [step.needs for step in steps[1:]] == [(number,) for number in range(1, 1500)]
