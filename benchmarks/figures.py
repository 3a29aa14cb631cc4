"""One measured figure beside its target, as a line to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from sides import Spent


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is at most `target` where the target is met; `unit` belongs to both. `from_what` says what it is from."""

    about: str
    value: float
    target: float
    unit: str
    from_what: str

    @property
    def met(self) -> bool:
        return self.value <= self.target

    def __str__(self) -> str:
        value, target = (f"{number:.3g} {self.unit}" for number in (self.value, self.target))
        return (
            f"{self.about:<64}{value:>9}  <= {target:<8}{'met' if self.met else 'missed':<8}{self.from_what}".rstrip()
        )


def ratio(about: str, one: Iterable[float], other: Iterable[float], target: float) -> Figure:
    """The median of the ratios of single rounds; both sides in seconds."""
    ones, others = list(one), list(other)
    value = median(a / b for a, b in zip(ones, others, strict=True))
    return Figure(about, value, target, "x", f"{_seconds(median(ones))} / {_seconds(median(others))}")


def cpu(spent: Iterable[Spent]) -> list[float]:
    return [each.cpu for each in spent]


def wall(spent: Iterable[Spent]) -> list[float]:
    return [each.wall for each in spent]


def _seconds(number: float) -> str:
    return f"{number:.2f} s" if number >= 1 else f"{number * 1000:.0f} ms"
