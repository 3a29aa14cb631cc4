"""What fleet's record holds of a host goes into a snapshot and comes out of it as it was."""

from __future__ import annotations

from dataclasses import replace

from fleet.reconcile.rehearsing.kept_memory import kept_memory, memory_of
from tests.state.examples import ALPHA, FULL


def test_whose_models_are_is_known_in_a_rehearsal_too() -> None:
    host = FULL.hosts[ALPHA]
    back = memory_of(kept_memory(host), "http://copy", {}, {})
    # What was under way on the real host is not under way on its copy, and nobody undoes anything there.
    made = {name: replace(each, undone=0) for name, each in host.made.items()}
    assert back == replace(host, url="http://copy", made=made, begun={})
