"""Makes a plan for a verb: under signals, with a word on what is wrong with fleet's own record, if anything is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fleet.cli.deadline import NEVER, Deadline
from fleet.cli.interruptible import run_until_signal
from fleet.cli.streams import talk

if TYPE_CHECKING:
    from fleet.reconcile.progress import Event, Listener
    from fleet.reconcile.run import Pass
    from fleet.reconcile.step import Plan


def planned(work: Pass, listener: Listener, deadline: Deadline = NEVER) -> Plan:
    """The plan of a pass. Raises as `fleet.reconcile.run.make_plan` does, as `run_until_signal`, and `DeadlineError`."""
    from fleet.reconcile.progress import HostSeen
    from fleet.reconcile.run import hosts_of, make_plan
    from fleet.render.words import some

    seen = set()

    def heard(event: Event) -> None:
        if isinstance(event, HostSeen):
            seen.add(event.host)
        listener(event)

    def meanwhile() -> str:
        unseen = [host.host.name for host in hosts_of(work) if host.host.name not in seen]
        return f"hosts were looked at, before {some(unseen)} answered" if unseen else "the plan was made"

    plan = run_until_signal(deadline.within(make_plan(work, heard), meanwhile))
    note(plan.notes)
    return plan


def surveyed(work: Pass, listener: Listener) -> Plan:
    """The same for a verb that only tells how things stand: that a selection alone prunes nothing is no news there."""
    from dataclasses import replace

    from fleet.codes import Code

    plan = planned(work, listener)
    return replace(plan, refused=tuple(refusal for refusal in plan.refused if refusal.code is not Code.FILTERED))


def note(notes: Iterable[str]) -> None:
    """Tells each in a line of its own, to stderr."""
    for each in notes:
        talk(f"note: {each}\n")
