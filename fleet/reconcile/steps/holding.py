"""Why a step is left for later although all that it needs is there: its host may be at something, or a stranger is."""

from __future__ import annotations

from datetime import datetime

from fleet.codes import Code
from fleet.manifest.item import Pull
from fleet.names import ModelName
from fleet.reconcile.difference import Blocked
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session
from fleet.reconcile.undone import RECENT, leave_alone
from fleet.reconcile.unsettled import waits_for
from fleet.state.leases import Lease
from fleet.state.remembered import HostRemembered


def held(session: Session, step: Step) -> Blocked | None:
    """By what is recorded of the host at this moment; nothing where the step may begin."""
    host, at = session.desired.host, session.client.now()
    known = session.shared.known(host)
    begun = {name: each for name, each in known.begun.items() if not _came_elsewhere(session, name, known)}
    waits = waits_for(step, begun, session.last, at, session.settings.unsettled_wait)
    if waits is not None:
        name, until = waits
        left = known.begun[name]
        message = (
            f"`{host.name}` may still be at the {left.action} of `{name}` that was begun at {_moment(left.since)} and"
            f" left; until {_moment(until)} nothing is deleted or replaced there"
        )
        return Blocked(Code.HOST_UNSETTLED, message, Code.HOST_UNSETTLED.cure)
    made = known.made.get(step.model)
    if host.name in session.shared.accepted or made is None:
        return None
    if leave_alone(step, made, known.begun.get(step.model), at):
        message = (
            f"`{step.model}` was changed by somebody else {made.undone + 1} times since fleet made it, and is left alone"
            f" until {_moment(made.at + RECENT)}"
        )
        hint = f"find out who else changes `{host.name}`; if it is meant, say `--accept-foreign {host.name}`"
        return Blocked(Code.FOREIGN_WRITER, message, hint)
    return None


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
