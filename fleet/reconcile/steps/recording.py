"""Records what fleet puts under a declared name: that it is begun, before anything is sent, and what a look proved.

A run that is killed in between leaves what the host may still be at, and whether the name was free before: what fleet made
is neither forgotten nor taken for somebody else's (`reliability.md` B.4, E7).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from fleet.codes import Code
from fleet.errors import HostError, HostUnreachable, OutcomeUnknown
from fleet.names import ModelName
from fleet.reconcile.difference import Reason
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.session import Session, SupersededError
from fleet.reconcile.undone import times
from fleet.reconcile.unsettled import BROKEN, follows, opening, with_owner
from fleet.state.evidence import Begun, Evidence
from fleet.state.memory import StateError

_RENEWED = 60.0
"""Seconds after which it is written at the latest that fleet is still at it: by so much a killed run's mark is too old."""
_PART = 10
"""Into how many parts the wait of a host is divided, where that is shorter."""


async def recorded(
    session: Session, step: Step, present: Present | None, change: Callable[[], Awaitable[None]]
) -> None:
    """Carries `change` out, which raises where the name does not hold what was wanted. Raises what that raises, and
    `fleet.state.memory.StateError` where nothing was begun, or what was done cannot be recorded.
    """
    host, memory = session.desired.host, session.shared.memory
    known, former = session.shared.known(host), present.digest if present is not None else None
    earlier, evidence = known.begun.get(step.model), known.evidence.get(step.model)
    if earlier is None and step.reason is Reason.BROKEN and former is not None:
        earlier = Begun(BROKEN, former, session.client.now())
    wait = session.settings.unsettled_wait
    at = session.client.now()
    followed = follows(step.action, earlier, at, wait)
    if followed and step.action is Action.PULL:
        session.takes_up(step)
    memory.begin(host.name, host.url, step.model, opening(step.action, former, earlier, at, wait))
    try:
        async with _renewed(session, step.model, min(_RENEWED, wait / _PART)):
            await change()
    except (HostError, SupersededError) as error:
        if session.opened(step):
            await _failed(session, step, error, evidence, followed=earlier if followed else None)
        else:
            # Nothing was sent, so what was known of the name still is.
            _leave(session, step, earlier)
        raise
    now = session.last.get(step.model)
    if now is None:
        memory.end(host.name, step.model)
    else:
        _keep(session, step, now)


@asynccontextmanager
async def _renewed(session: Session, model: ModelName, seconds: float) -> AsyncIterator[None]:
    """The mark's time runs from when fleet was at it last, since until then the host surely is."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(seconds)
            # What cannot be written is told by what has to be.
            with suppress(StateError):
                session.shared.memory.renew(session.desired.host.name, model, session.client.now())

    renewing = asyncio.ensure_future(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _failed(
    session: Session,
    step: Step,
    error: HostError | SupersededError,
    evidence: Evidence | None,
    *,
    followed: Begun | None,
) -> None:
    """The mark goes where nothing can come of it any more. Else it stays, from now on, until a look shows what did.

    `evidence` is what was known of the model before the step; `followed` is what it took up, if anything.
    """
    host, memory, at = session.desired.host, session.shared.memory, session.client.now()
    begun = session.shared.known(host).begun.get(step.model)
    if begun is None:
        return
    # By an answer that is none it was carried out, as far as anybody knows; only what proves it could not be read.
    unread = isinstance(error, HostError) and error.code is Code.NOT_OLLAMA
    left = isinstance(error, HostUnreachable | OutcomeUnknown) or unread
    if isinstance(error, SupersededError):
        # What is there now is somebody else's, whatever comes of what was left.
        seen = session.last.get(step.model)
        begun = replace(begun, former=seen.digest if seen is not None else None)
    begun = replace(begun, again=begun.again or followed is not None)
    kept = None
    if followed is not None and not left and session.left_before(step):
        # An answer leaves no more than there was, nor for longer: else what fails each time would keep others waiting.
        kept = replace(begun, since=followed.since)
    elif left or session.left_open(step):
        memory.begin(host.name, host.url, step.model, replace(begun, since=at))
        return
    if isinstance(error, SupersededError):
        _leave(session, step, kept)
        return
    # Some servers go on behind an error (`ollama-api.md` 7.7), and what came may not be what was wanted.
    try:
        now = (await session.models()).get(step.model)
        whole = now is None or now.remote or await session.content(now, fresh=True) is not None
    except HostError:
        memory.begin(host.name, host.url, step.model, replace(begun, since=at))
        return
    if now is not None and not whole:
        # No listing tells the next pass.
        memory.begin(host.name, host.url, step.model, kept or Begun(BROKEN, now.digest, at))
    elif now is not None and _wanted(session, step, now, evidence):
        _keep(session, step, now)
    else:
        _leave(session, step, kept)


def _leave(session: Session, step: Step, kept: Begun | None) -> None:
    """The mark as it is kept, or none any more."""
    host, memory = session.desired.host, session.shared.memory
    if kept is not None:
        memory.begin(host.name, host.url, step.model, kept)
    else:
        memory.end(host.name, step.model)


def _wanted(session: Session, step: Step, now: Present, evidence: Evidence | None) -> bool:
    """Whether it is known to be what the step was for: anything else may be somebody else's."""
    if now.digest == step.new or (step.accepts is not None and now.digest in step.accepts):
        return True
    proven = session.shared.known(session.desired.host).evidence.get(step.model)
    return proven is not None and proven != evidence and proven.digest == now.digest


def _keep(session: Session, step: Step, now: Present) -> None:
    """What the last look showed under the name."""
    host, memory = session.desired.host, session.shared.memory
    known = session.shared.known(host)
    begun, made = known.begun.get(step.model), known.made.get(step.model)
    if begun is None or now.digest == begun.former:
        # The host had it already, and whose it is stays as it is.
        memory.end(host.name, step.model)
        return
    at, accepted = session.client.now(), host.name in session.shared.accepted
    may_lose = host.ephemeral or host.name in session.shared.emptied
    undone = 0 if accepted else times(made, begun.former, at, may_lose=may_lose)
    memory.keep_made(host.name, host.url, step.model, with_owner(begun, made, now.digest, at, undone))
