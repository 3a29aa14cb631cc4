"""Why a step is left for later although all that it needs is there: its host may be at something, or a stranger is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from fleet.codes import Code
from fleet.manifest.item import Pull
from fleet.names import ModelName
from fleet.reconcile.difference import Blocked
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session
from fleet.reconcile.undone import RECENT, leave_alone
from fleet.reconcile.unsettled import ends, under_way, waits_for
from fleet.state.leases import Lease
from fleet.state.remembered import HostRemembered


def held(session: Session, step: Step, followed: Collection[ModelName] = ()) -> Blocked | None:
    """By what is recorded of the host at this moment; nothing where the step may begin. `followed` is what was left and
    is followed to its end before all else.
    """
    host, at = session.desired.host, session.client.now()
    known = session.shared.known(host)
    begun = {name: each for name, each in known.begun.items() if not _came_elsewhere(session, name, known)}
    wait = session.settings.unsettled_wait
    waits = waits_for(step, begun, session.last, at, wait, followed)
    if waits is not None:
        name, until = waits
        left = known.begun[name]
        message = (
            f"`{host.name}` may still be at the {left.action} of `{name}` that was left at {_moment(left.since)};"
            f" until {_moment(until)} nothing is deleted or replaced there"
        )
        return Blocked(Code.HOST_UNSETTLED, message, Code.HOST_UNSETTLED.cure)
    made = known.made.get(step.model)
    if host.name in session.shared.accepted or made is None:
        return None
    if step.presumes is None and host.name in session.shared.emptied:
        return None
    left_here = known.begun.get(step.model)
    if left_here is not None and at >= ends(left_here, at, wait):
        left_here = None
    if leave_alone(step, made, left_here, at):
        message = (
            f"`{step.model}` was changed by somebody else {made.undone + 1} times since fleet made it, and is left alone"
            f" until {_moment(made.at + RECENT)}"
        )
        hint = f"find out who else changes `{host.name}`; if it is meant, say `--accept-foreign {host.name}`"
        return Blocked(Code.FOREIGN_WRITER, message, hint)
    return None


def alone(session: Session, step: Step) -> bool:
    """Whether nothing that was left may go on beside the step: what it brought itself can be deleted then."""
    known = session.shared.known(session.desired.host)
    return not under_way(
        known.begun, session.last, session.client.now(), session.settings.unsettled_wait, but=step.model
    )


def behind(step: Step) -> Blocked:
    """Why what was left before is not followed, while other steps wait for the host to be done with it."""
    message = (
        f"its {step.action} was left before, and what needs `{step.host}` to itself comes first: what is begun anew would"
        " keep it waiting"
    )
    return Blocked(Code.HOST_UNSETTLED, message, Code.HOST_UNSETTLED.cure)


def _came_elsewhere(session: Session, name: ModelName, known: HostRemembered) -> bool:
    """Whether what was pulled under another name is there: only the copy to its own was still to come."""
    source = next((item.source for item in session.desired.items if item.name == name), None)
    origin = source.origin if isinstance(source, Pull) else None
    return origin is not None and origin in known.borrowed and origin in session.last


def leased_by(lease: Lease) -> Blocked:
    """Why nothing is begun on a host that is in another fleet's hands."""
    message = f"the fleet `{lease.fleet}` has been changing this host since {_moment(lease.since)}: {lease.holder}"
    return Blocked(Code.HOST_LEASED, message, Code.HOST_LEASED.cure)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
