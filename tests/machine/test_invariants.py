"""Every invariant is proven by a test that names it."""

from __future__ import annotations

from tests.faults.proofs import proofs
from tests.machine.invariants import INVARIANTS


def test_every_invariant_has_a_proof() -> None:
    assert len(INVARIANTS) == 34
    assert INVARIANTS.keys() - proofs("invariant").keys() == set()


def test_no_test_proves_an_invariant_that_there_is_not() -> None:
    assert proofs("invariant").keys() <= INVARIANTS.keys()
