"""Pulls a model, under its own name or under another one that it is copied from, and proves what came."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError
from fleet.manifest.item import Pull
from fleet.names import ModelName
from fleet.ollama.versions import Capability, has
from fleet.ollama.wire import Progress
from fleet.reconcile.backup import backup_of, pending_of
from fleet.reconcile.known import fixed
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Step
from fleet.reconcile.steps.copying import copy, drop
from fleet.reconcile.steps.holding import alone
from fleet.reconcile.steps.replacing import replacing, say, take_away
from fleet.reconcile.steps.session import Session, broken, not_as_wanted
from fleet.reconcile.steps.warming import unload_what_goes


async def pull(session: Session, step: Step) -> None:
    """What the entry asks for, whole and of an accepted digest, stands under its name; nothing else does."""
    source = step.item.source if step.item else None
    if not isinstance(source, Pull):
        raise TypeError("a pull step without what to pull")
    if source.origin is not None:
        await _through(session, step, source, source.origin)
    elif step.accepts is None:
        # Before a copy of the former content is made for nothing.
        session.shared.breaker.check(step.model.registry, session.desired.host.name)
        await replacing(session, step, lambda: _directly(session, step, source))
    else:
        await _only_accepted(session, step, source)


async def _only_accepted(session: Session, step: Step, source: Pull) -> None:
    """Under its own name, so that a run killed at the wrong moment leaves what was not accepted there: that a name was
    free before is recorded first, and what such a run left is taken away.
    """
    host = session.desired.host
    mark = pending_of(step.model, step.accepts or frozenset())
    present = await session.still(step)
    if present is not None and mark in session.shared.borrowed(host) and not _accepted(step, present):
        # Somebody may have loaded it meanwhile.
        await unload_what_goes(session, step, present)
        await drop(session, step, step.model, present.listed)
        present = None
    if present is None:
        session.shared.memory.borrow(host.name, host.url, mark)
    await replacing(session, step, lambda: _directly(session, step, source, was_free=present is None))
    session.shared.memory.give_back(host.name, mark)


async def _directly(session: Session, step: Step, source: Pull, *, was_free: bool = False) -> None:
    kept = (await session.models()).get(backup_of(step.model)) if step.accepts is not None else None
    if kept is not None and await _will_do(session, step, kept):
        await copy(session, step, kept, step.model, step.listed)
        return
    await _fetched(session, step, source, step.listed)
    present = await session.listed(step)
    if await session.content(present, fresh=True) is None:
        raise broken(step)
    if not _accepted(step, present):
        error = _another(session, step, source, present)
        if was_free and alone(session, step):
            await take_away(session, step, step.model, present)
        elif was_free:
            say(error, "it goes once the host is done with what was left there")
        raise error


async def _fetched(session: Session, step: Step, source: Pull, listed: str) -> None:
    """Pulled under that name. Raises with `REGISTRY_LEFT_ALONE` where its registry fails on several hosts."""
    registry, host = (source.origin or step.model).registry, session.desired.host.name
    breaker = session.shared.breaker

    def begin() -> AsyncGenerator[Progress, None]:
        return breaker.through(registry, host, lambda: session.client.pull(listed, insecure=source.insecure))

    await session.transfer(step, begin)


async def _through(session: Session, step: Step, source: Pull, origin: ModelName) -> None:
    """Pulled as `origin`, verified, copied to the declared name; the other name goes, unless it was there before."""
    host = session.desired.host
    models = await session.models()
    there = models.get(origin)
    lent = session.shared.borrowed(host)
    borrowed = there is None or origin in lent
    former = models.get(backup_of(origin)) if backup_of(origin) in lent else None
    if there is not None and former is not None and not borrowed:
        # A run that was killed has set what was there aside.
        await _beside(session, step, source, there, former)
        return
    if borrowed:
        session.shared.memory.borrow(host.name, host.url, origin)
    elif there is not None and not await _will_do(session, step, there):
        await _beside(session, step, source, there)
        return
    try:
        listed = there.listed if there is not None else str(origin)
        if there is None or not await _will_do(session, step, there):
            await _fetched(session, step, source, listed)
        present = (await session.models()).get(origin)
        if present is None:
            raise not_as_wanted(f"`{origin}` is not listed after the host said success")
        if await session.content(present, fresh=True) is None:
            raise broken(step)
        if not _accepted(step, present):
            raise _another(session, step, source, present)
        await replacing(session, step, lambda: copy(session, step, present, step.model, step.listed))
    except HostError:
        if borrowed:
            await _given_back(session, step, origin, quietly=True)
        raise
    if borrowed:
        await _given_back(session, step, origin, quietly=False)


async def _beside(session: Session, step: Step, source: Pull, there: Present, former: Present | None = None) -> None:
    """As `_through`, where the other name is somebody's and holds something else: that is there again afterwards.

    `former` is what was there before a run that was killed.
    """
    host, aside = session.desired.host, backup_of(there.name)
    if former is None:
        session.shared.memory.borrow(host.name, host.url, aside)
        await copy(session, step, there, aside, str(aside))
    try:
        if former is None or former.digest == there.digest or not await _will_do(session, step, there):
            await _fetched(session, step, source, there.listed)
        present = (await session.models()).get(there.name)
        if present is None or await session.content(present, fresh=True) is None:
            raise broken(step)
        if not _accepted(step, present):
            raise _another(session, step, source, present)
        await replacing(session, step, lambda: copy(session, step, present, step.model, step.listed))
    finally:
        former = (await session.models()).get(aside)
        if former is not None:
            await copy(session, step, former, there.name, there.listed)
            await drop(session, step, aside, former.listed)
        session.shared.memory.give_back(host.name, aside)


async def _given_back(session: Session, step: Step, origin: ModelName, *, quietly: bool) -> None:
    """The name that was used on the way is free again; where that fails, the next run finds it recorded."""
    try:
        now = (await session.models()).get(origin)
        if now is not None:
            await drop(session, step, origin, now.listed)
        session.shared.memory.give_back(session.desired.host.name, origin)
    except HostError:
        if not quietly:
            raise


async def _will_do(session: Session, step: Step, there: Present) -> bool:
    """Whether what is there already is accepted and whole: a pull could only bring something else, if the tag moved."""
    accepted = (step.accepts is None or there.digest in step.accepts) and not there.remote
    return accepted and await session.content(there, fresh=True) is not None


def _accepted(step: Step, present: Present) -> bool:
    return step.accepts is None or present.digest in step.accepts


def _another(session: Session, step: Step, source: Pull, present: Present) -> HostError:
    wanted = " or ".join(sorted(f"sha256:{digest.short}" for digest in step.accepts or ()))
    hint = Code.PIN_NOT_BROUGHT.cure
    if not fixed(source):
        hint = "the tag moved while this ran: run again, and read what the plan brings then"
    elif (
        source.pin is not None
        and len(step.accepts or ()) == 1
        and not has(session.version, Capability.PULL_KEEPS_BYTES)
    ):
        hint = (
            "servers before 0.19.0 may list the same content by another digest: let registries be asked, or lock the"
            " model by `fleet lock`, so that fleet knows both"
        )
    return HostAnswered(
        f"the pull brought sha256:{present.digest.short}, and only {wanted} may be installed",
        code=Code.PIN_NOT_BROUGHT,
        status=200,
        hint=hint,
    )
