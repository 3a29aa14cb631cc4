"""Storms of changes: however many there are, a word comes once they are over, and now and then while they last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.daemon.source.quiet import Quiet

SETTLE = 2.0


def words(changes: list[float], until: float, tick: float = 0.5) -> list[float]:
    """When a word came, where something changed at these moments and quiet is told every `tick` seconds."""
    quiet, came = Quiet(SETTLE), []
    told = [(moment, True) for moment in changes] + [(n * tick, False) for n in range(int(until / tick) + 1)]
    for moment, changed in sorted(told):
        if quiet.due(moment, changed=changed):
            came.append(moment)
    return came


def test_one_change_is_one_word_once_it_is_quiet() -> None:
    assert words([0.25], 60) == [2.5]
    assert words([0.25, 1.0, 2.9], 60) == [5.0]


@pytest.mark.parametrize("began", [0.0, 100.0])
def test_the_clock_may_begin_anywhere(began: float) -> None:
    quiet = Quiet(SETTLE)
    assert [quiet.due(began + at, changed=at == 0) for at in (0.0, 1.0, 2.0, 3.0)] == [False, False, True, False]


@pytest.mark.fault("D14")
def test_a_hundred_thousand_changes_are_a_word_every_thirty_seconds_and_one_at_the_end() -> None:
    minutes = 10
    storm = [n * minutes * 60 / 100_000 for n in range(100_000)]
    came = words(storm, minutes * 60 + 60)
    assert minutes * 60 / 30 - 1 <= len(came) <= minutes * 60 / 30 + 1
    assert came[-1] >= storm[-1], "what came last counts too"


@pytest.mark.invariant("E18")
@pytest.mark.fault("D14")
@given(st.lists(st.floats(0, 300), min_size=1, max_size=60))
def test_no_change_is_lost_and_none_waits_longer_than_thirty_seconds(changes: list[float]) -> None:
    came = words(changes, 400)
    for change in changes:
        assert any(change <= word <= change + 15 * SETTLE + 1 for word in came)
    assert len(came) <= len(changes)
