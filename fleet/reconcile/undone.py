"""Whether somebody else keeps changing what fleet made: told by the effects, since no server tells who asked. Pure.

Two fleets that want different things of one host would undo each other for ever. Whoever had to make the same anew twice
within a day leaves it alone from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from fleet.codes import Code
from fleet.names import Digest
from fleet.reconcile.report import Failure, Outcome, StepResult
from fleet.reconcile.step import Action, Step
from fleet.state.evidence import Begun, Made
from fleet.state.remembered import Remembered

MOST = 2
"""How often what was undone is made again."""
RECENT = timedelta(hours=24)
"""What lies longer apart is everyday life: somebody deletes a model by hand now and then."""
_MAKES = frozenset({Action.PULL, Action.CREATE, Action.COPY})


def leave_alone(step: Step, made: Made | None, begun: Begun | None, at: datetime) -> bool:
    """Whether the step would make again what somebody else undid too often. What fleet itself was at is no stranger's."""
    if step.action not in _MAKES or made is None or begun is not None:
        return False
    return made.undone >= MOST and step.presumes != made.digest and _lately(made, at)


def fought(results: Iterable[StepResult], remembered: Remembered) -> tuple[Failure, ...]:
    """What was made again for the last time in this pass, for people to see to."""
    found: list[Failure] = []
    for result in results:
        step = result.step
        known = remembered.hosts.get(step.host)
        made = known.made.get(step.model) if known is not None else None
        if step.action in _MAKES and result.outcome is Outcome.DONE and made is not None and made.undone >= MOST:
            message = (
                f"`{step.model}` was changed by somebody else {made.undone} times, within a day each; it was made again, and"
                " is left alone the next time"
            )
            hint = Code.FOREIGN_WRITER.cure
            found.append(
                Failure(Code.FOREIGN_WRITER, message, step.host, step.model, step.action, step.number, hint=hint)
            )
    return tuple(found)


def times(made: Made | None, former: Digest | None, at: datetime, *, may_lose: bool) -> int:
    """How often somebody else undid it, counted as it was made again just now. `former` is what the name held before.

    A host that `may_lose` its models is no stranger when it did.
    """
    if made is None:
        return 0
    before = made.undone if _lately(made, at) else 0
    return before + (former != made.digest and not (former is None and may_lose))


def _lately(made: Made, at: datetime) -> bool:
    """What a clock wrote that ran ahead does not count for longer."""
    return abs(at - made.at) <= RECENT
