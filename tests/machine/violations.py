"""What the machine raises where an invariant does not hold."""

from __future__ import annotations

from collections.abc import Iterable

seen: list[Violation] = []
"""Every one that was made in this process, in order: the first tells after how many examples it came."""


class Violation(AssertionError):
    """`invariant` is its short name, `E1`; the message says what was seen."""

    def __init__(self, invariant: str, told: str) -> None:
        super().__init__(f"{invariant}: {told}")
        self.invariant = invariant
        seen.append(self)


def demand(invariant: str, faults: Iterable[str]) -> None:
    """Raises for the first few of them."""
    found = list(faults)
    if found:
        raise Violation(invariant, "; ".join(found[:4]))
