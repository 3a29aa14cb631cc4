"""Progress as plain lines, for logs and pipes: what ends, what takes long, and now and then how far it is."""

from __future__ import annotations

from collections.abc import Callable

from fleet.quantities import show_size
from fleet.reconcile.observed import Observation, Observed
from fleet.reconcile.progress import Event, HostAwaited, HostSeen, StepBegun, StepEnded, StepMoved, StepRetried
from fleet.reconcile.report import Outcome, StepResult
from fleet.render.events import Clock
from fleet.render.pace import Pace
from fleet.render.transfer import Transfer, title
from fleet.render.words import OUTCOMES, counted, lasted, name, sentence

_SOON = 2.0
"""Seconds."""


class Plain:
    """Writes one line at a time. Each step tells how far it is at most once in `interval` seconds."""

    def __init__(
        self, write: Callable[[str], None], clock: Clock, *, interval: float = 10.0, everything: bool = False
    ) -> None:
        """`everything` tells of each host that was looked at."""
        self._write = write
        self._clock = clock
        self._everything = everything
        self._pace = Pace(interval, first=False)
        self._patience = Pace(interval)
        self._running: dict[int, Transfer] = {}
        self._begun: set[int] = set()
        """Steps of which it was told that they run."""

    def __call__(self, event: Event) -> None:
        now = self._clock()
        match event:
            case HostSeen():
                self._host_seen(event, now)
                return
            case HostAwaited():
                # One line for all: a thousand hosts that start together are no reason for a thousand.
                if not self._patience.due("hosts", now):
                    return
            case StepBegun():
                self._running[event.step.number] = Transfer(event.step, now)
                return
            case StepMoved():
                self._moved(event, now)
                return
            case StepRetried():
                if event.step.number in self._running:
                    self._running[event.step.number].began_again()
            case StepEnded():
                self._running.pop(event.result.step.number, None)
                self._pace.forget(event.result.step.number)
                self._begun.discard(event.result.step.number)
        self._write(f"{event_line(event)}\n")

    def _moved(self, event: StepMoved, now: float) -> None:
        """A step that is over soon is told by its end alone."""
        number = event.step.number
        running = self._running.setdefault(number, Transfer(event.step, now))
        running.moved(event, now)
        if number not in self._begun:
            if now - running.begun < _SOON:
                return
            self._begun.add(number)
            self._pace.due(number, now)
            told = running.told(now)
            self._write(f"{event_line(StepBegun(event.step))}{', ' if told else ''}{told}\n")
        elif self._pace.due(number, now):
            self._write(f"{title(event.step)}: {running.told(now)}\n")

    def _host_seen(self, event: HostSeen, now: float) -> None:
        if self._everything:
            self._write(f"{event_line(event)}\n")
        if self._pace.due("hosts", now) and event.seen < event.of:
            self._write(f"looked at {event.seen} of {counted(event.of, 'host')}\n")


def event_line(event: HostSeen | HostAwaited | StepBegun | StepRetried | StepEnded) -> str:
    """One event in one line, without its end."""
    match event:
        case HostSeen():
            return f"{name(event.host)}: {_seen(event.observation)}"
        case HostAwaited():
            why = f"{sentence(event.unobserved.message)} ({event.unobserved.code.id})"
            return f"{name(event.host)}: not yet: {why}; asked again for up to {lasted(event.left)}"
        case StepBegun():
            return f"{title(event.step)}: begun"
        case StepRetried():
            return f"{title(event.step)}: try {event.attempt}, because {sentence(event.because)}"
        case StepEnded():
            return f"{title(event.result.step)}: {_ended(event.result)}"


def _seen(observation: Observation) -> str:
    if isinstance(observation, Observed):
        version, models = sentence(str(observation.version), 64), counted(len(observation.models), "model")
        return f"seen, Ollama {version} with {models}"
    return f"not observed: {sentence(observation.message)} ({observation.code.id})"


def _ended(result: StepResult) -> str:
    if result.outcome is Outcome.DONE:
        moved = f", {show_size(result.bytes_in)}" if result.bytes_in else ""
        return f"done in {lasted(result.seconds)}{moved}"
    failure = result.failure
    return OUTCOMES[result.outcome] + (f": {sentence(failure.message)} ({failure.code.id})" if failure else "")
