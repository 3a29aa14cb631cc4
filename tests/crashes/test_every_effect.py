"""A run that is killed before any of its effects is finished by the next one, as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crashes.golden import GOLDEN, Golden
from tests.crashes.tries import every_effect, staged
from tests.preloaded import Preloaded

SAMPLE = ("replace by a pull",)


def golden(name: str) -> Golden:
    return next(each for each in GOLDEN if each.name == name)


@pytest.mark.fault("K2", "K18")
@pytest.mark.invariant("E8", "E1", "E2")
@pytest.mark.parametrize("name", SAMPLE)
def test_killed_before_some_effects_the_next_run_ends_the_same(tmp_path: Path, mortal: Preloaded, name: str) -> None:
    with staged(golden(name), tmp_path, mortal) as stage:
        count = every_effect(stage, each=13, first=8)
    assert count.converged == count.kills >= 4


@pytest.mark.long
@pytest.mark.invariant("E8", "E1", "E2")
@pytest.mark.parametrize("name", [each.name for each in GOLDEN])
def test_killed_before_every_effect_the_next_run_ends_the_same(
    tmp_path: Path, mortal: Preloaded, record_property: Callable[[str, object], None], name: str
) -> None:
    """Every third time the second run is killed as well, at an effect that chance chooses, and the third one counts."""
    with staged(golden(name), tmp_path, mortal) as stage:
        count = every_effect(stage, again=3)
    record_property(
        "crashes", {"scenario": name, "effects": count.effects, "kills": count.kills, "converged": count.converged}
    )
