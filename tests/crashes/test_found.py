"""Faults that killing runs brought to light, each by the kill that did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crashes.golden import GOLDEN
from tests.crashes.tries import killed_after, staged
from tests.preloaded import Preloaded


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        # What stood under the other name was deleted with the backup that a killed run had left of it.
        ("pull through a name that is somebody's", "answer POST /api/pull"),
        # What fleet had made itself was recorded as found.
        ("create from a base", "answer POST /api/create"),
        # What nothing can prove was left unproven, although a run of fleet's own had made it.
        ("quantize", "answer POST /api/create"),
        # Nobody knew any more that fleet had loaded it, and so nobody would have released it.
        ("load", "answer POST /api/generate"),
        # Nor that it had been published.
        ("push", "answer POST /api/push"),
        # The lease stayed, and kept other fleets waiting though nobody was at work.
        ("delete", "answer DELETE /api/delete"),
    ],
)
def test_the_next_run_ends_as_if_nothing_had_been_killed(
    tmp_path: Path, mortal: Preloaded, name: str, effect: str
) -> None:
    golden = next(each for each in GOLDEN if each.name == name)
    with staged(golden, tmp_path, mortal) as stage:
        assert killed_after(stage, effect) == []
