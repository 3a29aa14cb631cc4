"""Runs the machine: so many examples of so many steps from a seed, and tells how far it came."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from tests.machine.machine import Machine, steps
from tests.machine.violations import Violation, seen

STEPS = 40


@dataclass(slots=True)
class Told:
    """What came of a run of the machine."""

    examples: int = 0
    """Begun until the first violation, or in all."""
    steps: int = 0
    violation: Violation | None = None


def run(examples: int, number: int, *, most: int = STEPS, shrink: bool = False) -> Told:
    """Ends with the first violation; with `shrink` that is made small and raised with what leads to it."""
    told = Told()
    seen.clear()
    began = steps.total()

    def machine() -> Machine:
        told.examples += not seen
        return Machine()

    plan = settings(
        max_examples=examples,
        stateful_step_count=most,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        seed(number)(get_state_machine_test(machine, settings=plan))()  # type: ignore[arg-type]  # a factory will do
    except BaseException:
        if shrink or not seen:
            raise
    told.steps = steps.total() - began
    told.violation = seen[0] if seen else None
    return told
