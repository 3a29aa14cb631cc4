"""Whether a figure that is measured again and again grows: a line through it, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

_SURE = 1.645
"""Standard errors above the slope below which it lies with 95 % certainty."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Of a figure over hours."""

    first: float
    last: float
    """By the line, at both ends of what was measured."""
    slope: float
    """For an hour."""
    bound: float
    """What the slope is below with 95 % certainty."""


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """Of pairs of seconds and figure; at least three of them. The first fifth is warming up and does not count."""
    kept = points[len(points) // 5 :]
    hours = [seconds / 3600 for seconds, _ in kept]
    figures = [figure for _, figure in kept]
    middle, mean = sum(hours) / len(hours), sum(figures) / len(figures)
    spread = sum((hour - middle) ** 2 for hour in hours)
    slope = sum((hour - middle) * (figure - mean) for hour, figure in zip(hours, figures, strict=True)) / spread
    left = sum((f - mean - slope * (h - middle)) ** 2 for h, f in zip(hours, figures, strict=True))
    error = sqrt(left / max(1, len(kept) - 2) / spread)
    return Trend(mean + slope * (hours[0] - middle), mean + slope * (hours[-1] - middle), slope, slope + _SURE * error)


def means(points: Sequence[tuple[float, float]], parts: int) -> list[float]:
    """Of the figure, in as many parts of the time: what fills up to a limit looks different from what grows for ever."""
    begun, ended = points[0][0], points[-1][0]
    found: list[list[float]] = [[] for _ in range(parts)]
    for at, figure in points:
        found[min(int((at - begun) / (ended - begun) * parts), parts - 1)].append(figure)
    return [sum(part) / len(part) for part in found if part]
