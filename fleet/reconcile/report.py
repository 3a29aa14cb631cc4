"""What a pass came to: every step with its outcome, every failure with its code, and the exit code that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.codes import Code
from fleet.errors import ExitCode, FleetError, OutcomeUnknown, highest_ranked
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Difference, State
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.step import Action, Plan, Step


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"
    NOT_TRIED = "not-tried"


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong: the same facts for people and for machines."""

    code: Code
    message: str
    host: HostName
    model: ModelName | None = None
    action: Action | None = None
    step: int | None = None
    outcome: Outcome = Outcome.FAILED
    told: str | None = None
    """The server's own words, cleaned."""
    hint: str | None = None

    @classmethod
    def of(cls, error: FleetError, step: Step, outcome: Outcome | None = None) -> Failure:
        """What a step's error comes to: broken off and not known how it ended, or failed."""
        ended = Outcome.UNKNOWN if isinstance(error, OutcomeUnknown) else Outcome.FAILED
        return cls(
            error.code,
            str(error),
            step.host,
            step.model,
            step.action,
            step.number,
            outcome or ended,
            getattr(error, "told", None),
            error.hint,
        )


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step and how it ended."""

    step: Step
    outcome: Outcome
    failure: Failure | None = None
    seconds: float = 0.0
    bytes_in: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one pass: hosts, items and steps. `differs` counts what is still not as desired at its end."""

    hosts: int = 0
    unobserved: int = 0
    suspended: int = 0
    items: int = 0
    as_desired: int = 0
    unverified: int = 0
    differs: int = 0
    blocked: int = 0
    refused: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    superseded: int = 0
    not_tried: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A pass at its end. For a mere plan there are no results, and `after` is the plan itself."""

    plan: Plan
    after: Plan
    """What would be planned from the last look at the hosts: empty of steps when all is well."""
    results: tuple[StepResult, ...] = ()
    failures: tuple[Failure, ...] = ()
    """Of steps, in their order, then what the last look showed."""
    unobserved: tuple[Unobserved, ...] = ()
    interrupted: ExitCode | None = None
    """What asked the pass to stop, as its exit code: a signal, a record that fails, or a deadline (`PARTIAL`)."""
    not_remembered: FleetError | None = None
    """Why the next pass will not know of this one, if so."""
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    notes: tuple[str, ...] = ()
    """What a person should know of the record that fleet keeps, in whole sentences."""


def exit_code(report: Report, *, allowed_unobserved: int = 0, applied: bool, detailed: bool = False) -> ExitCode:
    """The one code of `design.md` 10: of all that apply, the highest-ranked.

    `applied` tells a pass from a mere plan; `detailed` makes pending changes of a plan a code of their own.
    """
    codes: list[ExitCode] = []
    plan = report.plan
    if report.not_remembered is not None:
        codes.append(report.not_remembered.exit_code)
    if report.interrupted is not None:
        codes.append(report.interrupted)
    if plan.refused:
        codes.append(ExitCode.REFUSED)
    if report.failures or plan.blocked or report.after.blocked:
        codes.append(ExitCode.PARTIAL)
    if len(report.unobserved) > allowed_unobserved:
        codes.append(ExitCode.UNOBSERVED)
    if detailed and not applied and plan.steps:
        codes.append(ExitCode.CHANGES_PENDING)
    return highest_ranked(codes)


def at_its_end(item: Difference) -> State:
    """How an item stands in all that is asked of it: the worst part tells."""
    state = item.state
    if state not in {State.AS_DESIRED, State.UNVERIFIED}:
        return state
    if item.trouble is not None:
        return State.BLOCKED
    if item.warmth is not None and item.warmth.state is not State.AS_DESIRED:
        return item.warmth.state
    return State.DIFFERS if item.unchecked or item.publish is not None else state


def counted(plan: Plan, after: Plan, results: Iterable[StepResult], unobserved: Iterable[Unobserved]) -> Counts:
    """Adds up one pass; items as they stand at its end, those of suspended hosts aside."""
    ended = Counter(result.outcome for result in results)
    states: Counter[State] = Counter()
    for host in after.hosts:
        if host.host in plan.suspended:
            continue
        for item in host.items:
            states[at_its_end(item)] += 1
        states[State.DIFFERS] += sum(removal.blocked is None for removal in host.removals)
        states[State.BLOCKED] += sum(removal.blocked is not None for removal in host.removals)
    return Counts(
        hosts=len(plan.hosts),
        unobserved=len(tuple(unobserved)),
        suspended=len(plan.suspended),
        items=states.total(),
        as_desired=states[State.AS_DESIRED],
        unverified=states[State.UNVERIFIED],
        differs=states[State.DIFFERS],
        blocked=states[State.BLOCKED],
        refused=len(plan.refused),
        done=ended[Outcome.DONE],
        failed=ended[Outcome.FAILED],
        unknown=ended[Outcome.UNKNOWN],
        superseded=ended[Outcome.SUPERSEDED],
        not_tried=ended[Outcome.NOT_TRIED],
    )
