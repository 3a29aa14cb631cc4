"""What the steps of one host are at, for the board and the watchdog. Lives in one event loop, and is cheap to call."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.daemon.backoff import Clocks
from fleet.daemon.board import Board
from fleet.daemon.judging import with_moving
from fleet.daemon.status import Moving
from fleet.foreign import clean
from fleet.names import HostName, ModelName
from fleet.reconcile.progress import Event, Listener, StepBegun, StepEnded, StepMoved, StepRetried, deaf
from fleet.reconcile.step import Step

_BETWEEN = 1.0
"""Seconds between two changes of the board because of bytes alone."""
_RATE_OVER = 10.0
"""Seconds over which a rate is told."""


@dataclass(slots=True)
class InFlight:
    """A step at work, by the monotonic clock."""

    step: Step
    since: float
    heard: float
    """When the host said something of it last."""
    layers: dict[str, int] = field(default_factory=dict)
    """Bytes by layer."""
    totals: dict[str, int] = field(default_factory=dict)
    points: deque[tuple[float, int]] = field(default_factory=deque)


class Following:
    """A listener of one host's pass."""

    def __init__(
        self,
        host: HostName,
        board: Board,
        clocks: Clocks,
        since: datetime,
        heard: Listener = deaf,
    ) -> None:
        """`heard` is told of every event as well."""
        self._heard = heard
        self._host = host
        self._board = board
        self._clocks = clocks
        self._since = since
        self._moving: dict[ModelName, Moving] = {}
        self._shown = float("-inf")
        self.in_flight: dict[int, InFlight] = {}

    def __call__(self, event: Event) -> None:
        now = self._clocks.monotonic()
        self._heard(event)
        match event:
            case StepBegun(step):
                self.in_flight[step.number] = InFlight(step, now, now)
                self._moving[step.model] = Moving(str(step.action))
                self._show()
            case StepMoved():
                self._moved(event, now)
            case StepRetried(step):
                if step.number in self.in_flight:
                    self.in_flight[step.number].heard = now
            case StepEnded(result):
                self.in_flight.pop(result.step.number, None)
                if self._moving.pop(result.step.model, None) is not None:
                    self._show()
            case _:
                pass

    def _moved(self, event: StepMoved, now: float) -> None:
        flight = self.in_flight.get(event.step.number)
        if flight is None:
            return
        flight.heard = now
        layer = event.layer or ""
        if event.completed is not None:
            flight.layers[layer] = event.completed
        if event.total is not None:
            flight.totals[layer] = event.total
        done, total = sum(flight.layers.values()), sum(flight.totals.values())
        flight.points.append((now, done))
        while len(flight.points) > 2 and flight.points[0][0] < now - _RATE_OVER:
            flight.points.popleft()
        (first, had), (last, has) = flight.points[0], flight.points[-1]
        rate = max(0.0, (has - had) / (last - first)) if last - first >= _BETWEEN else None
        former = self._moving.get(event.step.model) or Moving(str(event.step.action))
        self._moving[event.step.model] = replace(
            former,
            words=clean(event.status, limit=80),
            completed=done if flight.totals else None,
            total=total or None,
            rate=rate if rate is not None else former.rate,
        )
        if now - self._shown >= _BETWEEN:
            self._show()

    def _show(self) -> None:
        self._shown = self._clocks.monotonic()
        status = self._board.hosts.get(self._host)
        if status is not None:
            self._board.put_host(with_moving(status, self._moving, self._since))
