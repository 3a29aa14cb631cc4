"""Whatever happens to a fleet, in whatever order: nothing that must hold is violated, and what is wrong would be found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.machine.controls import CONTROLS, Control
from tests.machine.running import run

SHARDS = 8
EXAMPLES = 2000
MOST = 200
"""Examples within which each mistake has to be found."""


@pytest.mark.invariant("I1", "I4", "I6", "I7", "E1", "E2", "E3", "E4", "E6", "E7", "E9", "E10", "E13", "E15", "E20")
def test_a_few_histories(told: Callable[[str], None]) -> None:
    """The same ones each time."""
    found = run(5, 0, most=20)
    told(f"the machine: {found.steps} steps")
    assert found.violation is None


@pytest.mark.long
@pytest.mark.invariant("I1", "I4", "I6", "I7", "E1", "E2", "E3", "E4", "E6", "E7", "E9", "E10", "E13", "E15", "E20")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_histories(shard: int, told: Callable[[str], None]) -> None:
    found = run(EXAMPLES // SHARDS, 1 + shard, shrink=True)
    told(f"the machine, shard {shard + 1} of {SHARDS}: {found.examples} examples, {found.steps} steps, no violation")


@pytest.mark.long
@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rows.replace(" ", "-"))
def test_each_mistake_is_found(control: Control, told: Callable[[str], None]) -> None:
    with control.how():
        found = run(MOST, 1)
    assert found.violation is not None, f"{control.name} ({control.rows}): not found in {MOST} examples"
    crashed = _leaves(found.violation.__cause__)
    assert not [each for each in crashed if isinstance(each, TypeError | NameError | AttributeError)], (
        "it is no mistake"
    )
    told(f"{control.rows}, {control.name}: {found.violation.invariant} after {found.examples} examples")


def _leaves(error: BaseException | None) -> list[BaseException]:
    """What a control itself gets wrong would be found as well."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [] if error is None else [error]
