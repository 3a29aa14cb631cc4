"""`kill -9` at any moment of a real run: the next one ends as if nothing had happened, and the record can be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crashes.golden import SLOW
from tests.crashes.tries import at_random, staged
from tests.preloaded import Preloaded

_BATCHES, _KILLS, _STARTS = 8, 25, 3
"""200 kills in all, 24 of them of a start of the installed command; the others of forks of the loaded one."""


@pytest.mark.long
@pytest.mark.fault("K2")
@pytest.mark.invariant("E8")
def test_killed_at_three_moments_the_next_run_ends_the_same(tmp_path: Path, mortal: Preloaded) -> None:
    quicker = replace(SLOW, bandwidth=200_000, slow=tuple((endpoint, delay / 8) for endpoint, delay in SLOW.slow))
    with staged(quicker, tmp_path, mortal) as stage:
        count = at_random(stage, 3, 0, time.monotonic)
    assert count.converged == count.kills == 3


@pytest.mark.long
@pytest.mark.invariant("E8")
@pytest.mark.parametrize("seed", range(1, _BATCHES + 1))
def test_killed_at_many_moments_the_next_run_ends_the_same(
    tmp_path: Path, mortal: Preloaded, record_property: Callable[[str, object], None], seed: int
) -> None:
    with staged(SLOW, tmp_path, mortal) as stage:
        count = at_random(stage, _KILLS, seed, time.monotonic, installed=_STARTS)
    record_property(
        "moments",
        {"seed": seed, "kills": count.kills, "starts": _STARTS, "middle": count.middle, "converged": count.converged},
    )
