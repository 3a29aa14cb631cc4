"""What holds for every plan beside `tests/reconcile/test_plan_laws.py`: removal, protection, spelling, and its size."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError
from fleet.names import HostName, ModelName
from fleet.reconcile.plan import Allowance, plan
from fleet.reconcile.saved import SavedArguments, match, read, save
from fleet.reconcile.step import Action, Plan
from fleet.state.remembered import Remembered
from tests.machine.spelled import full, is_backup, meant
from tests.reconcile import notation
from tests.reconcile.pretended import carried_out
from tests.reconcile.test_plan_laws import NAMES, STRAY, About, as_bytes, entries, law, observations

prunes = st.sampled_from(["never", "owned", "undeclared"])
owned = st.lists(st.sampled_from(NAMES + STRAY), unique=True, max_size=4)
_CONTENT = {Action.PULL, Action.CREATE, Action.COPY}


def planned(
    desired: About, observed: About, remembered: Remembered | None = None, *, limit: int = 9, **case: Any
) -> Plan:
    wanted = notation.desired({"desired": {"alpha": desired}, "max_deletes": limit, **case})
    observation = notation.observation("alpha", observed, wanted.hosts[HostName("alpha")])
    return plan(wanted, {HostName("alpha"): observation}, remembered=remembered, sources="[]")


def own(observed: About, names: list[str], items: int = 0) -> Remembered:
    """A record which says that fleet made these in what they are now, and asked for so many items then."""
    made = {each: observed["models"][each]["is"] for each in names if each in observed["models"]}
    hosts = {"alpha": {"models": sorted(observed["models"]), "made": made}}
    return notation.remembered({"hosts": hosts, "items": items, "sources": "[]"})


def deleted(made: Plan) -> set[str]:
    return {full(str(step.model)) for step in made.steps if step.action is Action.DELETE}


@pytest.mark.invariant("I4")
@law
@given(entries(), observations(), prunes, owned)
def test_every_delete_has_a_reason(desired: About, observed: About, prune: str, names: list[str]) -> None:
    declared = {full(name) for name, about in desired.items() if about != "absent"}
    absent = [name for name, about in desired.items() if about == "absent"]
    made = planned(desired, observed, own(observed, names), prune=prune)
    for name in deleted(made):
        assert name not in declared
        named = any(meant(pattern, name) for pattern in absent)
        pruned = prune == "undeclared" or (prune == "owned" and name in {full(each) for each in names})
        assert named or pruned or is_backup(name), name


@pytest.mark.invariant("I5")
@law
@given(observations(), prunes, owned, st.integers(1, 9))
def test_nothing_desired_deletes_nothing(observed: About, prune: str, names: list[str], items: int) -> None:
    made = planned({}, observed, own(observed, names, items), prune=prune)
    assert deleted(made) == set()


@pytest.mark.invariant("I6")
@law
@given(entries(), observations(), prunes, owned, st.integers(0, 3), st.data())
def test_less_that_is_desired_never_deletes_more_than_is_allowed(
    desired: About, observed: About, prune: str, names: list[str], limit: int, data: st.DataObject
) -> None:
    left = {name: about for name, about in desired.items() if data.draw(st.booleans(), name)}
    made = planned(left, observed, own(observed, names, len(desired)), limit=limit, prune=prune)
    assert len(deleted(made)) <= limit
    if 2 * len(left) < len(desired):
        assert deleted(made) == set()


@pytest.mark.invariant("I7")
@law
@given(entries(), observations(), prunes, owned, st.sampled_from(["gone:1", "old-*", "p:1", "*:1"]))
def test_what_is_protected_keeps_a_name(
    desired: About, observed: About, prune: str, names: list[str], pattern: str
) -> None:
    made = planned(desired, observed, own(observed, names), prune=prune, protect=[pattern])
    after = carried_out(observed, made.steps)["models"]
    held = {about["is"] for name, about in observed["models"].items() if meant(pattern, name)}
    replaced = {str(step.old) for step in made.steps if step.action in _CONTENT and meant(pattern, str(step.model))}
    for name in deleted(made):
        assert not meant(pattern, name)
    kept = {about["is"] for about in after.values()}
    lost = {content for content in held - kept if str(notation.digest(content)) not in replaced}
    assert lost == set()


@pytest.mark.invariant("I3")
@law
@given(entries(), observations())
def test_the_spelling_of_a_manifest_changes_nothing(desired: About, observed: About) -> None:
    def spelled(name: str) -> str:
        return name if "*" in name else f"registry.ollama.ai/library/{name}".upper()

    def again(about: Any) -> Any:
        if about == "absent":
            return about
        changed = {key: spelled(value) if key == "alias" else value for key, value in about.items()}
        if "create" in about:
            changed["create"] = {**about["create"], "from": spelled(about["create"]["from"])}
        return changed

    quiet = planned(desired, observed).steps
    loud = planned({spelled(name): again(about) for name, about in desired.items()}, observed).steps
    assert [(s.model, s.action, s.reason, s.source, s.needs) for s in loud] == [
        (s.model, s.action, s.reason, s.source, s.needs) for s in quiet
    ]


@pytest.mark.invariant("I9")
@law
@given(entries(), observations(), st.data())
def test_a_saved_plan_is_the_plan_and_no_other_byte_is(desired: About, observed: About, data: st.DataObject) -> None:
    made = planned(desired, observed)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plan"
        save(made, SavedArguments(), str(path))
        assert as_bytes(match(read(str(path)), made)) == as_bytes(made)
        raw = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(raw)
        with pytest.raises(FleetError):
            read(str(path))


@pytest.mark.invariant("I11")
@law
@given(entries(), observations())
def test_no_step_brings_what_is_there_and_no_name_is_worked_on_twice(desired: About, observed: About) -> None:
    made = planned(desired, observed)
    changed = [step.model for step in made.steps if step.action in _CONTENT]
    assert len(changed) == len(set(changed))
    listed = {ModelName.parse(name) for name in observed["models"]}
    broken = {ModelName.parse(name) for name, about in observed["models"].items() if about["broken"]}
    for step in made.steps:
        if step.action is Action.PULL:
            assert step.model not in listed - broken
        if step.action is Action.COPY and step.new is not None:
            assert step.old != step.new
        if step.action is Action.DELETE:
            assert step.model in listed
    blobs = [json.dumps(str(step.blob)) for step in made.steps if step.action is Action.UPLOAD]
    assert len(blobs) == len(set(blobs))


@pytest.mark.invariant("I6")
@law
@given(entries(), observations(), st.integers(0, 9))
def test_only_the_number_itself_allows_more(desired: About, observed: About, number: int) -> None:
    whole = len(deleted(planned(desired, observed)))
    wanted = notation.desired({"desired": {"alpha": desired}, "max_deletes": 0})
    observation = notation.observation("alpha", observed, wanted.hosts[HostName("alpha")])
    allowed = plan(wanted, {HostName("alpha"): observation}, allowance=Allowance(max_deletes=number))
    assert len(deleted(allowed)) == (whole if whole <= number else 0)
