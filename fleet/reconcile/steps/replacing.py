"""Keeps what a name holds until what replaces it is verified, and puts it back where that fails (`reliability.md` B.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from fleet.errors import HostError, HostUnreachable, OutcomeUnknown
from fleet.names import Digest, ModelName
from fleet.reconcile.backup import backup_of, pending_of
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Step
from fleet.reconcile.steps.copying import copy, drop
from fleet.reconcile.steps.session import Session, not_as_wanted


async def replacing(session: Session, step: Step, change: Callable[[], Awaitable[None]]) -> None:
    """Carries `change` out, which ends well only once the new content is verified.

    Raises what `change` raises, with a word on what became of the former content. What somebody else put under the
    name meanwhile (`SupersededError`) is left alone, and so is the backup.
    """
    backup = await _kept(session, step)
    try:
        await change()
    except HostError as error:
        if backup is not None:
            await _put_back(session, step, backup, error)
        raise
    if backup is not None:
        await drop(session, step, backup.name, backup.listed)


async def _kept(session: Session, step: Step) -> Present | None:
    """The former content under its backup name; nothing where there is none, or none is wanted."""
    if step.item is not None and step.item.in_place:
        return None
    models = await session.models()
    name = backup_of(step.model)
    present, backup = models.get(step.model), models.get(name)
    if present is None and backup is None and step.presumes is not None and not _taken_away(session, step):
        present = await session.still(step)
    if present is None or await session.content(present, fresh=True) is None:
        # A run that was killed may have left the last good one.
        return backup
    if backup is not None and step.accepts is not None and backup.digest in step.accepts:
        # What was accepted is not given up for what was not.
        return backup
    if backup is not None and backup.digest != present.digest and _verified(session, step) == backup.digest:
        # Nor what was verified for what a run brought that was killed before it could tell.
        return backup
    if backup is None or backup.digest != present.digest:
        await copy(session, step, present, name, backup.listed if backup else str(name))
        backup = (await session.models()).get(name)
        if backup is None:
            raise not_as_wanted(f"`{name}` is not listed after the copy")
    return backup


def _verified(session: Session, step: Step) -> Digest | None:
    """What the name held when fleet proved it last, as far as that is recorded."""
    host = session.desired.host
    known = session.shared.memory.remembered().hosts.get(host.name)
    evidence = known.evidence.get(step.model) if known is not None and known.url == host.url else None
    return evidence.digest if evidence is not None else None


def _taken_away(session: Session, step: Step) -> bool:
    """Whether this very step removed what was there, since nobody had accepted it."""
    return step.accepts is not None and pending_of(step.model, step.accepts) in session.shared.borrowed(
        session.desired.host
    )


async def _put_back(session: Session, step: Step, backup: Present, error: HostError) -> None:
    """After a failure: what the name held before, as far as that can be done now."""
    open_ended = isinstance(error, OutcomeUnknown) or session.left_open(step)
    try:
        now = (await session.models()).get(step.model)
        if now is not None and now.digest == backup.digest:
            # Nothing was changed. Where the end is not known, the server may still be at it, so the backup stays.
            if not open_ended:
                await drop(session, step, backup.name, backup.listed)
            return
        if open_ended and now is not None and await session.content(now, fresh=True) is not None:
            say(error, f"the former content is kept as `{backup.listed}`")
            return
        aside = None if now is None else await _set_aside(session, step, now)
        await copy(session, step, backup, step.model, step.listed)
        if open_ended:
            say(error, f"the former content was put back, and is kept as `{backup.listed}` as well")
            return
        if aside is not None:
            await drop(session, step, aside, str(aside))
            session.shared.memory.give_back(session.desired.host.name, aside)
        await drop(session, step, backup.name, backup.listed)
        say(error, "the former content was put back")
    except HostError as trouble:
        say(error, f"the former content is kept as `{backup.listed}` ({trouble})")


async def _set_aside(session: Session, step: Step, wrong: Present) -> ModelName:
    """Gives what the step brought a second name: a copy over the first one would leave its layers on the disk, and a
    delete of the first one would leave the model's users without any.
    """
    name = backup_of(backup_of(step.model))
    host = session.desired.host
    session.shared.memory.borrow(host.name, host.url, name)
    await copy(session, step, wrong, name, str(name))
    return name


async def take_away(session: Session, step: Step, name: ModelName, wrong: Present) -> None:
    """Deletes what this very step brought under a name that was free before, unless it is something else by now."""
    with suppress(HostUnreachable):
        now = (await session.models()).get(name)
        if now is not None and now.digest == wrong.digest:
            await drop(session, step, name, now.listed)


def say(error: HostError, words: str) -> None:
    """Adds to what an error tells."""
    error.args = (f"{error}; {words}",)
