"""Whose what is listed is, after one look: what fleet made, what somebody changed since, what a killed run left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.codes import Code
from fleet.manifest.item import Desired
from fleet.names import HostName, ModelName
from fleet.reconcile.owning import owning
from fleet.reconcile.plan import plan
from fleet.reconcile.remembering import Spoken, adopt, remember
from fleet.state.evidence import Begun, Made
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered
from tests.reconcile import notation

A, B = ModelName.parse("a:1"), ModelName.parse("b:1")
OWN = Made(notation.digest("a"), True, notation.NOW)
WAIT = 600.0
HOST = HostName("alpha")
SPOKEN = Spoken("here", "these")


def looked(models: Any, made: dict[ModelName, Made], begun: dict[ModelName, Begun] | None = None) -> Any:
    """What is made and begun after a look at a host that lists `models`; `a:1` alone is declared."""
    wanted = notation.host_desired("alpha", ["a:1"], {})
    seen = notation.observation("alpha", {"models": models}, wanted)
    return owning(HostRemembered("http://alpha:11434", made=made, begun=begun or {}), seen, {A}, WAIT)  # type: ignore[arg-type]


def began(former: str | None, seconds: float = 0.0, action: str = "pull") -> Begun:
    return Begun(action, None if former is None else notation.digest(former), notation.NOW - timedelta(seconds=seconds))


def test_what_is_listed_as_fleet_made_it_stays_its_own() -> None:
    assert looked({"a:1": "a", "b:1": "a"}, {A: OWN, B: OWN}) == ({A: OWN, B: OWN}, {})


@pytest.mark.parametrize("now", [{}, {"a:1": "z", "b:1": "z"}])
def test_what_somebody_else_changed_or_deleted_is_owned_no_longer(now: dict[str, str]) -> None:
    made, _ = looked(now, {A: OWN, B: OWN})
    # Of what is declared it is still to be counted how often that happens.
    assert made == {A: replace(OWN, owned=False)}


def test_a_name_that_stands_twice_tells_nothing() -> None:
    made, begun = looked({"A:1": "z", "a:1": "a"}, {A: OWN}, {A: began(None)})
    assert (made, begun) == ({A: OWN}, {A: began(None)})


@pytest.mark.parametrize(
    ("former", "made", "owned"),
    [
        pytest.param(None, {}, True, id="the name was free"),
        pytest.param("z", {}, False, id="somebody's model was there"),
        pytest.param("a", {A: OWN}, True, id="fleet's own was there"),
        pytest.param("z", {A: OWN}, False, id="somebody else's was there in place of fleet's own"),
    ],
)
def test_what_a_killed_run_brought_is_not_lost(former: str | None, made: dict[ModelName, Made], owned: bool) -> None:
    now, begun = looked({"a:1": "n"}, made, {A: began(former)})
    assert begun == {}
    assert (now[A].digest, now[A].owned) == (notation.digest("n"), owned)


def test_what_may_still_be_under_way_is_waited_for_and_then_forgotten() -> None:
    assert looked({}, {}, {A: began(None, 599)}) == ({}, {A: began(None, 599)})
    assert looked({}, {}, {B: began(None, 601)}) == ({}, {})
    assert looked({}, {}, {A: began(None, 1, "copy")}) == ({}, {})


def test_of_what_is_declared_and_did_not_come_it_is_known_for_a_day_that_it_was_tried() -> None:
    assert looked({}, {}, {A: began(None, 601)}) == ({}, {A: began(None, 601)})
    assert looked({}, {}, {A: began(None, 86_401)}) == ({}, {})


@pytest.mark.parametrize("former", [None, "a"])
def test_what_comes_once_nothing_was_expected_any_more_is_somebody_elses(former: str | None) -> None:
    made, begun = looked({"a:1": "n", "b:1": "n"}, {A: OWN}, {A: began(former, 601), B: began(former, 601)})
    assert begun == {}
    assert made == {A: replace(OWN, owned=False)}


def test_what_may_have_begun_just_now_is_waited_for_from_the_look_on_when_the_clock_was_set_back() -> None:
    assert looked({}, {}, {B: began(None, -172_800)}) == ({}, {B: began(None, 0)})


def test_what_came_of_what_a_clock_wrote_that_ran_ahead_is_not_fleets_own() -> None:
    assert looked({"a:1": "n"}, {}, {A: began(None, -601)}) == ({}, {})
    assert [each.owned for each in looked({"a:1": "n"}, {}, {A: began(None, -5)})[0].values()] == [True]


def test_what_takes_the_place_of_a_broken_model_is_not_fleets_own() -> None:
    made, begun = looked({"a:1": "n"}, {A: OWN}, {A: began("a", 1, "broken")})
    assert (made, begun) == ({A: replace(OWN, owned=False)}, {})


def desired(*names: str) -> Desired:
    return notation.desired({"desired": {"alpha": list(names)}})


def test_a_pass_records_whose_manifests_spoke_and_keeps_the_first_until_others_are_accepted(tmp_path: Any) -> None:
    wanted = desired("a:1")
    made = plan(wanted, {HOST: notation.observation("alpha", ["a:1"], wanted.hosts[HOST])})

    def told(spoken: Spoken) -> dict[str, str]:
        assert remember(wanted, spoken, made, made, memory, "r") is None
        return dict(memory.remembered().sources)

    with Memory(str(tmp_path), "test") as memory:
        assert told(SPOKEN) == {"here": "these"}
        assert told(Spoken("here", "others")) == {"here": "these"}
        assert told(Spoken("there", "more")) == {"here": "these", "there": "more"}
        assert told(Spoken("here", "others", accepted=True)) == {"here": "others"}
    with Memory(str(tmp_path), "test") as again:
        assert again.remembered().sources == {"here": "others"}
        assert list(again.remembered().items) == ["here"]


def test_adopting_takes_over_what_is_declared_and_as_desired_and_nothing_else(tmp_path: Any) -> None:
    wanted = desired("a:1", "b:1", "c:1")
    seen = notation.observation("alpha", ["a:1", "b:1", "stranger:1"], wanted.hosts[HOST])
    made = plan(wanted, {HOST: seen})
    with Memory(str(tmp_path), "test") as memory:
        memory.keep_made(HOST, "http://alpha:11434", B, Made(notation.digest("b"), True, notation.NOW, 2))
        memory.begin(HOST, "http://alpha:11434", A, began(None))
        adopted = adopt(wanted, SPOKEN, made, memory, "r")
        host = memory.remembered().hosts[HOST]
        assert adopted.taken_over == ((HOST, A),)
        assert {name: (each.owned, each.undone) for name, each in host.made.items()} == {A: (True, 0), B: (True, 2)}
        assert host.begun == {}
        assert memory.remembered().sources == {"here": "these"}


def test_what_another_machine_shows_in_place_of_the_marked_one_is_not_recorded(tmp_path: Any) -> None:
    wanted = desired("a:1")
    host = wanted.hosts[HOST]
    marked = replace(wanted, hosts={HOST: replace(host, host=replace(host.host, marker=ModelName.parse("mark/alpha")))})
    made = plan(marked, {HOST: notation.observation("alpha", ["x:1"], host)})
    assert [refusal.code for refusal in made.refused] == [Code.MARKER_MISSING]
    with Memory(str(tmp_path), "test") as memory:
        memory.keep_made(HOST, "http://alpha:11434", A, OWN)
        before = memory.remembered().hosts
        assert remember(marked, SPOKEN, made, made, memory, "r") is None
        assert adopt(marked, SPOKEN, made, memory, "r").taken_over == ()
        assert memory.remembered().hosts == before
