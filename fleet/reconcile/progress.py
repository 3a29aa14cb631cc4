"""What the pass tells while it runs, to whoever shows it: events as values, in the order in which they happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fleet.names import HostName
from fleet.reconcile.observed import Observation, Unobserved
from fleet.reconcile.report import StepResult
from fleet.reconcile.step import Step


@dataclass(frozen=True, slots=True)
class HostSeen:
    """One host was looked at, or could not be."""

    host: HostName
    observation: Observation
    seen: int
    """Hosts looked at so far."""
    of: int


@dataclass(frozen=True, slots=True)
class HostAwaited:
    """One host does not answer yet and is asked again: at each try."""

    host: HostName
    unobserved: Unobserved
    left: float
    """Seconds for which it will still be asked."""


@dataclass(frozen=True, slots=True)
class StepBegun:
    step: Step


@dataclass(frozen=True, slots=True)
class StepMoved:
    """A stream said something new. Numbers are the server's, never negative, `completed` never above `total`."""

    step: Step
    status: str
    """The server's words, cleaned."""
    layer: str | None = None
    """What the numbers belong to: the first digits of a digest."""
    completed: int | None = None
    """Bytes of this layer."""
    total: int | None = None


@dataclass(frozen=True, slots=True)
class StepRetried:
    """A transfer broke off or stalled and is taken up again."""

    step: Step
    attempt: int
    because: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    result: StepResult


Event = HostSeen | HostAwaited | StepBegun | StepMoved | StepRetried | StepEnded


class Listener(Protocol):
    """Takes events at once and never waits; what it does must not fail."""

    def __call__(self, event: Event) -> None: ...


def deaf(event: Event) -> None:
    """Listens to nothing."""
