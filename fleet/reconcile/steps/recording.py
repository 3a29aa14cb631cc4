"""Records what fleet puts under a declared name: that it is begun, before anything is sent, and what a look proved.

A run that is killed in between leaves what the host may still be at, and whether the name was free before: what fleet made
is neither forgotten nor taken for somebody else's (`reliability.md` B.4, E7).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from fleet.errors import HostError, HostUnreachable, OutcomeUnknown
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session, SupersededError
from fleet.reconcile.undone import times
from fleet.reconcile.unsettled import with_owner
from fleet.state.evidence import Begun


async def recorded(
    session: Session, step: Step, present: Present | None, change: Callable[[], Awaitable[None]]
) -> None:
    """Carries `change` out, which raises where the name does not hold what was wanted. Raises what that raises, and
    `fleet.state.memory.StateError` where nothing was begun, or what was done cannot be recorded.
    """
    host = session.desired.host
    former = present.digest if present is not None else None
    session.shared.memory.begin(host.name, host.url, step.model, Begun(step.action.value, former, session.client.now()))
    try:
        await change()
    except (HostError, SupersededError) as error:
        await _failed(session, step, error)
        raise
    _keep(session, step)


async def _failed(session: Session, step: Step, error: HostError | SupersededError) -> None:
    """The mark goes where nothing can come of it any more. Else it stays, until a look shows what did."""
    unseen = session.opened(step) and isinstance(error, HostUnreachable | OutcomeUnknown)
    if session.left_open(step) or unseen:
        return
    if session.opened(step):
        # Some servers go on behind an error (`ollama-api.md` 7.7), and what came may not be what was wanted.
        with suppress(HostError):
            await session.models()
        _keep(session, step)
    else:
        session.shared.memory.end(session.desired.host.name, step.model)


def _keep(session: Session, step: Step) -> None:
    """What the last look showed under the name."""
    host, memory = session.desired.host, session.shared.memory
    known = session.shared.known(host)
    begun, made, now = known.begun.get(step.model), known.made.get(step.model), session.last.get(step.model)
    if begun is None or now is None or now.digest == begun.former:
        # The host had it already, and whose it is stays as it is.
        memory.end(host.name, step.model)
        return
    at, accepted = session.client.now(), host.name in session.shared.accepted
    undone = 0 if accepted else times(made, begun.former, at, may_lose=host.ephemeral)
    memory.keep_made(host.name, host.url, step.model, with_owner(begun, made, now.digest, at, undone))
