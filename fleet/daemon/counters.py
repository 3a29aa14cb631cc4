"""What is counted while the daemon runs: plain numbers of one process, which `fleet.daemon.metrics` shows.

Called from the event loop alone, at once and without waiting; nothing here fails, since a metric must not end a pass.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.codes import Code
from fleet.daemon.status import Outcome as PassOutcome
from fleet.names import HostName
from fleet.reconcile.progress import Event, StepBegun, StepEnded, StepRetried
from fleet.reconcile.report import Outcome, Report, StepResult
from fleet.reconcile.step import Action, Step
from fleet.state.attempts import RetryClass

GUARDS = tuple(code for code in Code if 500 <= code.value.number < 600 and code is not Code.NOT_CONFIRMED)
"""Codes of refusals; nobody is asked by a daemon."""
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Seconds of a pass: idle ones take fractions of one, those that pull take hours."""
_LAGS = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """All numbers at one moment; safe to read in another thread."""

    passes: Mapping[PassOutcome, int] = field(default_factory=dict)
    running: int = 0
    """Passes that have begun and not ended."""
    durations: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    """Ended passes by length: up to each of `BOUNDS` and above the one before, and longer than all."""
    seconds: float = 0.0
    """Of all ended passes."""
    steps: Mapping[tuple[Action, Outcome], int] = field(default_factory=dict)
    guards: Mapping[Code, int] = field(default_factory=dict)
    retries: Mapping[RetryClass, int] = field(default_factory=dict)
    deletes: Mapping[HostName, int] = field(default_factory=dict)
    received: int = 0
    """Bytes that hosts pulled."""
    uploaded: int = 0
    dropped: int = 0
    """Lines that the log had no room for."""
    lag: float = 0.0
    """Seconds; the longest of the last measurements."""
    lag_p99: float = 0.0
    """Seconds; of the last minute."""
    ages: Mapping[Action, float] = field(default_factory=dict)
    """Seconds since the oldest step at work began, by action."""
    certificates: Mapping[HostName, datetime] = field(default_factory=dict)
    credentials: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """When each file of a secret last changed, in seconds since 1970, by what it is for and by host."""


class Counters:
    """Counts from the start of the process on. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passes: Counter[PassOutcome] = Counter()
        self._begun = 0
        self._durations = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._steps: Counter[tuple[Action, Outcome]] = Counter()
        self._guards: Counter[Code] = Counter()
        self._retries: Counter[RetryClass] = Counter()
        self._deletes: Counter[HostName] = Counter()
        self._received = 0
        self._uploaded = 0
        self._dropped = 0
        self._lags: deque[float] = deque(maxlen=_LAGS)
        self._lag_p99 = 0.0
        self._at_work: dict[tuple[HostName, int], tuple[Action, float]] = {}
        self._certificates: dict[HostName, datetime] = {}
        self._credentials: dict[tuple[str, str], float] = {}

    def pass_begun(self) -> None:
        self._begun += 1

    def pass_ended(self, outcome: PassOutcome, seconds: float) -> None:
        self._passes[outcome] += 1
        self._durations[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += max(seconds, 0.0)

    def heard(self, event: Event) -> None:
        """Listens to a pass: `step_begun`, `retried` and `step_ended` are called by it."""
        if isinstance(event, StepBegun):
            self.step_begun(event.step)
        elif isinstance(event, StepRetried):
            self.retried(RetryClass.T_RESUME)
        elif isinstance(event, StepEnded):
            self.step_ended(event.result)

    def step_begun(self, step: Step) -> None:
        self._at_work[step.host, step.number] = (step.action, self._clock())

    def step_ended(self, result: StepResult) -> None:
        step = result.step
        self._at_work.pop((step.host, step.number), None)
        self._steps[step.action, result.outcome] += 1
        if step.action is Action.PULL:
            self._received += result.bytes_in
        elif step.action is Action.UPLOAD:
            self._uploaded += result.bytes_in
        elif step.action is Action.DELETE and result.outcome is Outcome.DONE:
            self._deletes[step.host] += 1

    def host_left(self, host: HostName) -> None:
        """Work on the host is over, however it ended: no step is at work there."""
        for key in [key for key in self._at_work if key[0] == host]:
            del self._at_work[key]

    def guard_tripped(self, code: Code) -> None:
        """A guard began to hold something back; while it goes on doing so, it is not told again."""
        self._guards[code] += 1

    def retried(self, retry_class: RetryClass) -> None:
        """Something that failed is tried again."""
        self._retries[retry_class] += 1

    def lag(self, seconds: float, p99: float = 0.0) -> None:
        """How much later than asked for the event loop woke somebody up, now and over the last minute."""
        self._lags.append(max(seconds, 0.0))
        self._lag_p99 = max(p99, 0.0)

    def log_dropped(self, lines: int = 1) -> None:
        self._dropped += lines

    def certificates_seen(self, ends: Mapping[HostName, datetime]) -> None:
        """When the certificates of hosts end, as far as it is known; replaces what was known before."""
        self._certificates = dict(ends)

    def credentials_seen(self, changed: Mapping[tuple[str, str], float]) -> None:
        """As `fleet.daemon.credentials.changed` tells; replaces what was known before."""
        self._credentials = dict(changed)

    def taken(self) -> Counted:
        """The numbers as they are now."""
        now = self._clock()
        ages: dict[Action, float] = {}
        for action, begun in self._at_work.values():
            ages[action] = max(ages.get(action, 0.0), now - begun)
        return Counted(
            dict(self._passes),
            max(self._begun - self._passes.total(), 0),
            tuple(self._durations),
            self._seconds,
            dict(self._steps),
            dict(self._guards),
            dict(self._retries),
            dict(self._deletes),
            self._received,
            self._uploaded,
            self._dropped,
            max(self._lags, default=0.0),
            self._lag_p99,
            ages,
            self._certificates,
            self._credentials,
        )


def counters_of(report: Report, outcome: PassOutcome) -> Counters:
    """What one pass counts that ran by itself."""
    counters = Counters()
    counters.pass_begun()
    for result in report.results:
        counters.step_ended(result)
    for refusal in report.plan.refused:
        counters.guard_tripped(refusal.code)
    counters.pass_ended(outcome, report.seconds)
    return counters
