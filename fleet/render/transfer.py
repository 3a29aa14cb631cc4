"""What is known of one running step: bytes per layer, the rate over the last seconds, the time that is left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from fleet.quantities import show_size
from fleet.reconcile.progress import StepMoved
from fleet.reconcile.step import Step
from fleet.render.words import action_of, lasted, name, sentence

WINDOW = 10.0
"""Seconds over which a rate is measured: long enough to be readable, short enough to show a stall."""


@dataclass(slots=True)
class Transfer:
    """One running step. Layers are counted as they are named, so the total may grow while it runs."""

    step: Step
    begun: float
    """Seconds of a clock that is never set back."""
    status: str = ""
    layer: str | None = None
    layers: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """Completed and total bytes."""
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _heard: float | None = None
    """When the server last said something of it."""

    def moved(self, event: StepMoved, now: float) -> None:
        self._heard = now
        self.status = sentence(event.status, limit=80)
        self.layer = None if event.layer is None else name(event.layer)[:12]
        if self.layer is not None and event.completed is not None:
            self.layers[self.layer] = (event.completed, event.total)
        self._seen.append((now, self.completed))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW:
            self._seen.popleft()

    def began_again(self) -> None:
        """After a stall the server names the layers anew; what is there already counts from the start."""
        self._seen.clear()

    @property
    def completed(self) -> int:
        return sum(completed for completed, _ in self.layers.values())

    @property
    def total(self) -> int | None:
        """Bytes of all layers named so far; nothing as long as none has a total."""
        totals = [total for _, total in self.layers.values() if total is not None]
        return sum(totals) if totals else None

    @property
    def share(self) -> float | None:
        """0 to 1."""
        return min(1.0, self.completed / self.total) if self.total else None

    def rate(self, now: float) -> float | None:
        """Bytes per second; nothing before there are two points to measure between."""
        if len(self._seen) < 2:
            return None
        first, bytes_then = self._seen[0]
        # Up to now and not to the last event: where nothing comes any more, the rate has to fall.
        seconds = now - first
        return max(0, self._seen[-1][1] - bytes_then) / seconds if seconds > 0 else None

    def left(self, now: float) -> float | None:
        """Seconds."""
        rate = self.rate(now)
        return (self.total - self.completed) / rate if rate and self.total is not None else None

    def told(self, now: float, *, with_layer: bool = False) -> str:
        """`45 %, 2.1 of 4.7 GB, 85.3 MB/s, 31s left`, as far as it is known, and how long the server has been silent: it may
        work for half an hour without a word.
        """
        silent = now - (self.begun if self._heard is None else self._heard)
        if self.total is None:
            parts = [self.status] if self.status else []
        else:
            parts = self._numbers(now, self.total, with_layer=with_layer)
        if silent >= WINDOW:
            parts.append(f"silent for {lasted(silent)}")
        return ", ".join(parts)

    def _numbers(self, now: float, whole: int, *, with_layer: bool) -> list[str]:
        parts = [f"{int(100 * (self.share or 0))} %", _of(self.completed, whole)]
        rate, left = self.rate(now), self.left(now)
        if rate is not None and self.completed < whole:
            parts.append(f"{show_size(round(rate))}/s")
        if left is not None and 0 < left < 360_000:
            parts.append(f"{lasted(float(round(left)) if left >= 10 else left)} left")
        if with_layer and self.layer is not None and len(self.layers) > 1:
            completed, total = self.layers.get(self.layer, (0, None))
            parts.append(f"layer {self.layer} {_of(completed, total)}")
        return parts


def title(step: Step) -> str:
    """`gpu-a: pull qwen3:8b`."""
    return f"{name(step.host)}: {action_of(step)}"


def _of(completed: int, total: int | None) -> str:
    """`2.1 of 4.7 GB`; both units where they differ."""
    if total is None:
        return show_size(completed)
    done, of = show_size(completed), show_size(total)
    return f"{done.split()[0]} of {of}" if done.split()[1] == of.split()[1] else f"{done} of {of}"
