"""Which runner serves a model, what two models share, and when a context counts as the wanted one."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.manifest.inventory import Capacity
from fleet.names import ModelName
from fleet.reconcile.diff import difference
from fleet.reconcile.difference import Difference, Warmth
from fleet.reconcile.observed import Observed
from fleet.reconcile.warm import runner_of, weights_of
from tests.reconcile import notation
from tests.reconcile.notation import digest, name


def looked_at(desired: dict[str, Any], about: dict[str, Any]) -> tuple[dict[ModelName, Difference], Observed]:
    wanted = notation.host_desired("alpha", desired, {})
    observed = notation.observation("alpha", about, wanted)
    assert isinstance(observed, Observed)
    return {each.item.name: each for each in difference(wanted, observed).items}, observed


def warmth(desired: dict[str, Any], about: dict[str, Any], called: str = "a:1") -> Warmth:
    found = looked_at(desired, about)[0][name(called)].warmth
    assert found is not None
    return found


@pytest.mark.fault("W3")
@pytest.mark.parametrize(
    ("runner", "found"),
    [
        ({"name": "a:1", "is": "a"}, True),
        ({"name": "elsewhere:1", "is": "a"}, True),
        ({"name": "b:1", "is": "b"}, True),
        ({"name": "c:1", "is": "c"}, False),
        ({"name": "a:1", "is": "o"}, False),
        ({"name": "a:1"}, False),
    ],
    ids=["own", "own-digest-other-name", "same-weights", "other-weights", "former", "no-digest"],
)
def test_the_runner_of_a_model(runner: dict[str, Any], found: bool) -> None:
    models = {"a:1": "a", "b:1": {"is": "b", "weights": ["a"]}, "c:1": "c"}
    _, observed = looked_at({"a:1": {"warm": True}}, {"models": models, "runners": [runner]})
    assert (runner_of(name("a:1"), observed) is not None) is found


def test_a_model_that_is_not_there_or_not_shown_has_no_runner_by_weights() -> None:
    _, observed = looked_at({"a:1": {"warm": True}}, {"models": {"b:1": "b"}, "runners": [{"name": "b:1", "is": "b"}]})
    assert runner_of(name("a:1"), observed) is None
    about = {"models": {"a:1": {"is": "a", "weights": []}, "b:1": "b"}, "runners": [{"name": "b:1", "is": "b"}]}
    _, observed = looked_at({"a:1": {"warm": True}}, about)
    assert runner_of(name("a:1"), observed) is None


def test_what_a_model_runs_on_is_followed_down_to_what_is_known() -> None:
    desired: dict[str, Any] = {
        "there:1": {"warm": True},
        "made:1": {"create": {"from": "there:1", "system": "new"}, "warm": True},
        "again:1": {"create": {"from": "made:1"}, "warm": True},
        "alias:1": {"alias": "again:1", "warm": True},
        "pulled:1": {"warm": True},
        "over:1": {"create": {"from": "pulled:1"}, "warm": True},
        "rebased:1": {"create": {"from": "pulled:1"}, "warm": True},
    }
    models = {"there:1": "t", "made:1": {"is": "m", "weights": ["x"]}, "rebased:1": {"is": "r", "weights": ["t"]}}
    differences, observed = looked_at(desired, {"models": models})
    on = {each: weights_of(name(each), differences, observed) for each in desired}
    assert on["there:1"] == on["made:1"] == on["again:1"] == on["alias:1"] == frozenset({digest("t")})
    assert on["pulled:1"] == on["over:1"] == on["rebased:1"] == name("pulled:1")


@pytest.mark.parametrize(
    ("version", "asked", "longest", "shown", "fits"),
    [
        ("0.9.6", 8192, None, None, True),
        ("0.10.0", 8192, None, 2048, True),
        ("0.10.1", 8192, None, 2048, False),
        ("0.10.1", 8192, None, 8192, True),
        ("0.12.6", 8192, 4096, 8192, True),
        ("0.12.6", 8192, 4096, 4096, True),
        ("0.12.6", 8192, 4096, 2048, False),
        ("0.15.5", 8192, 4096, 4096, True),
        ("0.15.5", 8192, 4096, 8192, False),
        ("0.15.5", 8192, 16384, 8192, True),
        ("0.15.5", 8192, 16384, 16384, False),
        ("0.11.4", 512, None, 2048, False),
        ("0.11.5", 512, None, 2048, True),
        ("0.11.5", 512, None, 512, True),
        ("0.32.15", 8192, None, None, True),
    ],
)
def test_a_context_as_shown(version: str, asked: int, longest: int | None, shown: int | None, fits: bool) -> None:
    about = {
        "version": version,
        "models": {"a:1": {"is": "a", "longest": longest}},
        "runners": [{"name": "a:1", "is": "a", "context": shown}],
    }
    found = warmth({"a:1": {"warm": {"options": {"num_ctx": asked}}}}, about)
    assert (found.state == "as-desired") is fits


def test_a_context_that_is_no_number_is_not_compared() -> None:
    about = {
        "models": {"a:1": {"is": "a", "parameters": {"num_ctx": "abc"}}},
        "runners": [{"name": "a:1", "is": "a", "context": 4096}],
    }
    assert warmth({"a:1": {"warm": True}}, about).state == "as-desired"


@pytest.mark.fault("W6")
def test_all_names_on_one_runner_ask_for_the_longest_time_with_their_own_options() -> None:
    desired: dict[str, Any] = {
        "a:1": {"warm": {"keep": 60, "options": {"top_k": 1}}},
        "b:1": {"alias": "a:1", "warm": {"keep": 600}},
        "c:1": {"warm": {"keep": 5}},
    }
    about = {"models": {"a:1": "a", "b:1": "a", "c:1": "c"}}
    kept = [warmth(desired, about, each).kept for each in desired]
    assert [each and each.keep_alive for each in kept] == [600, 600, 5]
    assert [each and dict(each.options) for each in kept] == [{"top_k": 1}, {}, {}]


def test_capacity_that_is_not_told_refuses_nothing() -> None:
    assert notation.host("alpha", {}).capacity == Capacity()
    desired: dict[str, Any] = {f"m{number}:1": {"warm": True} for number in range(20)}
    models = {each: {"is": each, "size": 10**12} for each in desired}
    differences, _ = looked_at(desired, {"models": models})
    assert {each.warmth.state for each in differences.values() if each.warmth} == {"differs"}
