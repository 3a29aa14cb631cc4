"""Makes a plan for a verb: under signals, with a word on what is wrong with fleet's own record, if anything is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fleet.cli.interruptible import run_until_signal
from fleet.cli.streams import talk

if TYPE_CHECKING:
    from fleet.reconcile.progress import Listener
    from fleet.reconcile.run import Pass
    from fleet.reconcile.step import Plan


def planned(work: Pass, listener: Listener) -> Plan:
    """The plan of a pass. Raises as `fleet.reconcile.run.make_plan` does, and as `run_until_signal`."""
    from fleet.reconcile.run import make_plan

    plan = run_until_signal(make_plan(work, listener))
    note(plan.notes)
    return plan


def note(notes: Iterable[str]) -> None:
    """Tells each in a line of its own, to stderr."""
    for each in notes:
        talk(f"note: {each}\n")
