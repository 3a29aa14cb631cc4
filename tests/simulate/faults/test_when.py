"""When a fault strikes: at which requests, how often, by which chance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fleet.simulate.calls import Call
from fleet.simulate.faults import HOST_FAULTS, REGISTRY_FAULTS, Fault, FaultKind, FaultSet, matches

PULL = Call("pull", "qwen3:8b", stream=True)


def faults(*described: dict[str, Any], seed: str = "0") -> FaultSet:
    return FaultSet([Fault.model_validate({"fault": "html", **one}) for one in described], seed)


def struck(found: FaultSet, count: int, call: Call = PULL) -> list[bool]:
    return [found.strike(call) is not None for _ in range(count)]


def test_without_limits_every_request_is_struck() -> None:
    assert struck(faults({}), 3) == [True, True, True]


def test_times_and_after_count_matching_requests_only() -> None:
    found = faults({"after": 2, "times": 2, "endpoint": "pull"})
    assert struck(found, 5, Call("tags")) == [False] * 5
    assert struck(found, 6) == [False, False, True, True, False, False]
    assert found.state() == [
        {"fault": "html", "endpoint": ["pull"], "times": 2, "after": 2, "seen": 6, "struck": 2},
    ]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("qwen3:8b", "qwen3:8b", True),
        ("qwen3", "qwen3:8b", True),
        ("qwen3", "qwen3", True),
        ("QWEN3:*", "qwen3:8B", True),
        ("qwen3:4b", "qwen3:8b", False),
        ("acme/*", "acme/x:1", True),
        ("acme/*", "acmes:1", False),
        ("*", "not a name!", True),
    ],
)
def test_globs_over_names(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def test_a_fault_for_a_model_leaves_requests_without_one_alone() -> None:
    found = faults({"model": "qwen3"})
    assert struck(found, 1, Call("tags")) == [False]
    assert struck(found, 1, Call("pull", "phi4:14b")) == [False]
    assert struck(found, 1) == [True]


def test_the_first_fault_that_strikes_is_taken_and_the_next_one_follows_it() -> None:
    found = faults({"times": 1}, {"fault": "silence"})
    kinds = [fault.fault for fault in (found.strike(PULL), found.strike(PULL)) if fault]
    assert kinds == [FaultKind.HTML, FaultKind.SILENCE]


@given(seed=st.text(max_size=5), chance=st.floats(0, 1))
def test_chance_follows_from_the_seed(seed: str, chance: float) -> None:
    first, second = (struck(faults({"chance": chance}, seed=seed), 20) for _ in range(2))
    assert first == second


def test_chance_is_about_as_often_as_it_says() -> None:
    assert 350 < sum(struck(faults({"chance": 0.4}), 1000)) < 450
    assert struck(faults({"chance": 0.0}), 50) == [False] * 50


def test_replacing_faults_counts_anew() -> None:
    found = faults({"times": 1})
    assert struck(found, 2) == [True, False]
    found.replace([Fault.model_validate({"fault": "html", "times": 1})])
    assert struck(found, 2) == [True, False]


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"fault": "gremlins"}, "Input should be"),
        ({"fault": "html", "delay": "3s"}, "`delay` is no parameter of `html`, which takes no parameters"),
        ({"fault": "slow", "lines": 3}, "`lines` is no parameter of `slow`, which takes `delay`"),
        ({"fault": "cut"}, "`cut` needs either `lines` or `bytes`"),
        ({"fault": "cut", "lines": 1, "bytes": 1}, "`cut` needs either `lines` or `bytes`"),
        ({"fault": "forget"}, "`forget` needs `model`"),
        ({"fault": "evict"}, "`evict` needs `model`"),
        ({"fault": "html", "endpoint": "pulls"}, "`pulls` is no kind of request"),
        ({"fault": "html", "times": 0}, "greater than or equal to 1"),
        ({"fault": "html", "chance": 1.5}, "less than or equal to 1"),
        ({"fault": "status", "status": 200}, "greater than or equal to 300"),
        ({"fault": "slow", "delay": "soon"}, "`soon` is no duration"),
        ({"fault": "huge", "bytes": "much"}, "`much` is no size"),
        ({"fault": "html", "modle": "x"}, "Extra inputs are not permitted"),
        ("html", "valid dictionary"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_by_name(described: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Fault.model_validate(described)


@pytest.mark.parametrize("kind", ["evict", "forget", "restart-during"])
def test_some_faults_strike_once_unless_told_otherwise(kind: str) -> None:
    model = {} if kind == "restart-during" else {"model": "x"}
    assert Fault.model_validate({"fault": kind, **model}).times == 1
    assert Fault.model_validate({"fault": kind, "times": 3, **model}).times == 3


def test_every_fault_can_happen_somewhere() -> None:
    assert set(FaultKind) == HOST_FAULTS | REGISTRY_FAULTS
