"""What holds of deletes, whatever is desired, observed and remembered (`reliability.md` D.2, I4 to I7 and I1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.manifest.pattern import matches
from fleet.names import HostName, ModelName
from fleet.reconcile.backup import is_backup
from fleet.reconcile.difference import Reason
from fleet.reconcile.observed import Observed
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.step import Action, Plan, Step
from tests.reconcile import notation
from tests.reconcile.pretended import carried_out
from tests.reconcile.test_plan_laws import NAMES, STRAY, About, entries, law, observations

PRUNES = ("owned", "undeclared")
PROTECT = ("keep", "old-*", "p")
ALPHA = HostName("alpha")


@st.composite
def records(draw: st.DrawFn, observed: About) -> About:
    """What fleet remembers to have put there: as it is listed now or in another content, its own or not."""
    made: About = {}
    for name in draw(st.lists(st.sampled_from(NAMES + STRAY), unique=True, max_size=8)):
        there = observed["models"].get(name, {}).get("is", "gone since")
        made[name] = {"is": draw(st.sampled_from([there, there, "former"])), "owned": draw(st.booleans())}
    return made


worlds = observations().flatmap(lambda observed: st.tuples(st.just(observed), records(observed)))


def planned(
    desired: About,
    observed: About | str,
    made: About,
    prune: str,
    *,
    items: int | None = None,
    protect: tuple[str, ...] = (),
    **arguments: Any,
) -> Plan:
    """One host, after a pass of the same manifests that asked for `items` (as many as now)."""
    wanted = notation.desired(
        {"desired": {"alpha": desired}, "max_deletes": 9, "prune": prune, "protect": list(protect)}
    )
    had = len(desired) if items is None else items
    remembered = notation.remembered({"items": had, "sources": "", "hosts": {"alpha": {"made": made}}})
    seen = notation.observation("alpha", observed, wanted.hosts[ALPHA])
    return plan(wanted, {ALPHA: seen}, remembered=remembered, **arguments)


def deletes(made: Plan) -> list[Step]:
    return [step for step in made.steps if step.action is Action.DELETE]


def names(keys: Mapping[str, Any]) -> set[ModelName]:
    return {ModelName.parse(key) for key in keys}


@law
@given(entries(), worlds, st.sampled_from(PRUNES))
def test_every_delete_has_one_of_the_reasons_that_there_are(
    desired: About, world: tuple[About, About], prune: str
) -> None:
    observed, made = world
    declared = names({key: value for key, value in desired.items() if value != "absent"})
    needed = {
        ModelName.parse(value["alias"] if "alias" in value else value["create"]["from"])
        for value in desired.values()
        if value != "absent" and ("alias" in value or "create" in value)
    }
    held = {ModelName.parse(key): about["is"] for key, about in observed["models"].items()}
    own = {ModelName.parse(key): about["is"] for key, about in made.items() if about["owned"]}
    for step in deletes(planned(desired, observed, made, prune)):
        match step.reason:
            case Reason.DECLARED_ABSENT:
                assert any(matches(key, step.model) for key, value in desired.items() if value == "absent")
            case Reason.NO_LONGER_DECLARED:
                assert step.model not in declared | needed
                assert own[step.model] == held[step.model]
            case Reason.NOT_DECLARED:
                assert prune == "undeclared"
                assert step.model not in declared | needed
            case _:
                assert (step.reason, is_backup(step.model)) == (Reason.LEFT_OVER, True)


@law
@given(entries(), worlds, st.sampled_from(PRUNES))
def test_a_name_fleet_may_take_away_does_go(desired: About, world: tuple[About, About], prune: str) -> None:
    observed, made = world
    made_plan = planned(desired, observed, made, prune, allowance=Allowance(max_deletes=99, shrunk=True))
    if made_plan.blocked or made_plan.refused:
        return
    again = carried_out(observed, made_plan.steps)
    left = {name: about for name, about in made.items() if name in again["models"] and name not in desired}
    # Nothing is left to be done, and pruning again finds nothing.
    assert planned(desired, again, left, prune, items=0).steps == ()


@law
@given(worlds, st.sampled_from(PRUNES), st.integers(0, 9))
def test_manifests_that_ask_for_nothing_delete_nothing(world: tuple[About, About], prune: str, had: int) -> None:
    assert planned({}, *world, prune, items=had).steps == ()


@law
@given(entries(), worlds, st.sampled_from(PRUNES), st.sampled_from(["NO_ANSWER", "filter", "sources"]))
def test_what_was_not_seen_chosen_or_said_is_not_pruned(
    desired: About, world: tuple[About, About], prune: str, how: str
) -> None:
    observed, made = world
    if how == "NO_ANSWER":
        assert planned(desired, how, made, prune).steps == ()
        return
    arguments: About = {"wanted": lambda _: True} if how == "filter" else {"sources": "others"}
    found = planned(desired, observed, made, prune, **arguments)
    assert {step.reason for step in deletes(found)} <= {Reason.DECLARED_ABSENT, Reason.LEFT_OVER}
    whole = planned(desired, observed, made, prune)
    pruned = [step.model for step in deletes(whole) if step.reason not in {Reason.DECLARED_ABSENT, Reason.LEFT_OVER}]
    told = " ".join(would for refusal in found.refused for would in refusal.would)
    assert all(str(model) in told for model in pruned)


@pytest.mark.fault("D6", "P6")
@law
@given(entries(), worlds, st.sampled_from(PRUNES), st.data(), st.integers(0, 4))
def test_however_many_entries_are_lost_no_more_is_deleted_than_allowed(
    desired: About, world: tuple[About, About], prune: str, data: st.DataObject, limit: int
) -> None:
    kept = data.draw(st.sets(st.sampled_from(sorted(desired)))) if desired else set()
    left = {key: value for key, value in desired.items() if key in kept}
    arguments: About = {"items": len(desired), "allowance": Allowance(max_deletes=limit)}
    found = planned(left, *world, prune, **arguments)
    assert sum(step.reason is not Reason.LEFT_OVER for step in deletes(found)) <= limit
    if 2 * len(left) < len(desired):
        assert not [step for step in deletes(found) if step.reason is not Reason.LEFT_OVER]


@pytest.mark.fault("P5")
@law
@given(entries(), worlds, st.sampled_from(PRUNES), st.sampled_from(PROTECT), st.booleans())
def test_a_protected_name_stays_and_so_does_the_last_name_of_what_it_holds(
    desired: About, world: tuple[About, About], prune: str, pattern: str, loud: bool
) -> None:
    observed, made = world
    if loud:
        observed = {
            **observed,
            "models": {name.upper(): about for name, about in observed["models"].items()},
            "runners": [],
        }
    found = planned(desired, observed, made, prune, protect=(pattern,))
    gone = {step.model for step in deletes(found)}
    assert not any(matches(pattern, name) for name in gone)
    seen = found.observations[ALPHA]
    assert isinstance(seen, Observed)
    changed = gone | {
        step.model for step in found.steps if step.action in {Action.PULL, Action.CREATE, Action.COPY} and step.old
    }
    for name, present in seen.models.items():
        if matches(pattern, name):
            others = {each.name for each in seen.by_digest(present.digest)}
            # A declared name is replaced as its entry says; its former content is never deleted beside that.
            assert not others & gone or others - changed
