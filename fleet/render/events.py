"""JSON lines: one object for each event of a pass while it runs, the whole plan or report as the last line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from fleet.foreign import clean
from fleet.reconcile.observed import Observed
from fleet.reconcile.progress import Event, HostAwaited, HostSeen, StepBegun, StepEnded, StepMoved, StepRetried
from fleet.reconcile.step import Step
from fleet.render.document import failure_part, result_part, step_part
from fleet.render.pace import Pace
from fleet.render.writing import FORMAT, in_one_line

Clock = Callable[[], float]
"""Seconds from anywhere, never set back."""

_BETWEEN_WAITS = 10.0
"""Seconds between two lines about the same host that does not answer yet."""


class Lines:
    """Writes events as they come. Movements of one step are written at most once in `interval` seconds."""

    def __init__(
        self, write: Callable[[str], None], clock: Clock, *, interval: float = 1.0, show_content: bool = False
    ) -> None:
        self._write = write
        self._clock = clock
        self._begun = clock()
        self._pace = Pace(interval)
        self._patience = Pace(_BETWEEN_WAITS)
        self._show_content = show_content

    def __call__(self, event: Event) -> None:
        now = self._clock()
        if isinstance(event, StepMoved) and not self._pace.due(event.step.number, now):
            return
        if isinstance(event, HostAwaited) and not self._patience.due(event.host, now):
            return
        self.last(event_part(event, elapsed=now - self._begun, show_content=self._show_content))

    def last(self, document: dict[str, Any]) -> None:
        """Writes a document in one line."""
        self._write(in_one_line(document))


def event_part(event: Event, *, elapsed: float, show_content: bool = False) -> dict[str, Any]:
    """One event; `elapsed` is in seconds since the pass began."""
    head = {"format": FORMAT, "elapsed": round(elapsed, 3)}
    match event:
        case HostSeen():
            return {"type": "host-seen", **head, **_seen(event)}
        case HostAwaited():
            return {
                "type": "host-awaited",
                **head,
                "host": event.host,
                "code": event.unobserved.code.id,
                "message": clean(event.unobserved.message),
                "left": round(event.left, 3),
            }
        case StepBegun():
            return {"type": "step-begun", **head, **step_part(event.step, show_content=show_content)}
        case StepMoved():
            return {
                "type": "step-moved",
                **head,
                **_step(event.step),
                "status": clean(event.status),
                "layer": None if event.layer is None else clean(event.layer, limit=80),
                "completed": event.completed,
                "total": event.total,
            }
        case StepRetried():
            return {
                "type": "step-retried",
                **head,
                **_step(event.step),
                "attempt": event.attempt,
                "because": clean(event.because),
            }
        case StepEnded():
            failure = event.result.failure
            return {
                "type": "step-ended",
                **head,
                **result_part(event.result),
                "failure": None if failure is None else failure_part(failure),
            }
        case _:
            assert_never(event)


def _step(step: Step) -> dict[str, Any]:
    return {"step": step.number, "host": step.host, "model": str(step.model), "action": step.action}


def _seen(event: HostSeen) -> dict[str, Any]:
    observation = event.observation
    told: dict[str, Any] = {"host": event.host, "seen": event.seen, "of": event.of}
    if isinstance(observation, Observed):
        return {
            **told,
            "observed": True,
            "version": clean(str(observation.version), limit=64),
            "models": len(observation.models),
            "in_memory": len(observation.runners),
        }
    return {**told, "observed": False, "code": observation.code.id, "message": clean(observation.message)}
