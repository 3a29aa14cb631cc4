"""Copies one name over another on a host: aliases, backups, and what was pulled under another name."""

from __future__ import annotations

from collections.abc import Callable

from fleet.codes import Code
from fleet.errors import HostAnswered
from fleet.names import Digest, ModelName
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.session import Session, SupersededError, not_as_wanted


async def copy_alias(session: Session, step: Step) -> None:
    """The step's model becomes what its source is now."""
    if step.source is None:
        raise TypeError("a copy step without a source")
    models = await session.models()
    source, present = models.get(step.source), models.get(step.model)
    if source is None:
        raise HostAnswered(f"the source `{step.source}` is gone", code=Code.SOURCE_NOT_THERE, status=404)
    if step.new is not None and source.digest != step.new:
        # What somebody else put there meanwhile was neither planned for nor checked.
        raise SupersededError(
            f"its source `{step.source}` was sha256:{step.new.short} when this was planned, and is"
            f" sha256:{source.digest.short} now"
        )
    if present is not None and present.digest == source.digest:
        return

    await copy(session, step, source, step.model, step.listed, lambda now: session.presume(step, now))


async def copy(
    session: Session,
    step: Step,
    source: Present,
    name: ModelName,
    listed: str,
    before_again: Callable[[Present | None], None] = lambda _: None,
) -> None:
    """Makes `name`, spelled `listed` towards the host, what `source` is, and proves it.

    `before_again` is given what the name holds after a copy of unknown outcome, before it is tried again.
    """

    async def once() -> None:
        call = session.soon(session.client.copy(source.listed, listed))
        # Backups and what is only passed through are recorded apart.
        settles = step.action is not Action.CREATE
        await (session.changing(step, call, settles=settles) if name == step.model else call)

    async def recheck() -> bool:
        now = (await session.models()).get(name)
        if now is not None and now.digest == source.digest:
            return True
        before_again(now)
        return False

    await session.again(step, once, recheck=recheck)
    await prove(session, name, source.digest)


async def prove(session: Session, name: ModelName, digest: Digest) -> None:
    """Raises `HostAnswered` where a new look shows another content under the name, or none."""
    now = (await session.models()).get(name)
    if now is None or now.digest != digest:
        raise not_as_wanted(f"`{name}` is not sha256:{digest.short} after the copy")


async def drop(session: Session, step: Step, name: ModelName, listed: str) -> None:
    """Deletes a name of fleet's own, and proves it."""

    async def once() -> None:
        await session.soon(session.client.delete(listed))

    async def recheck() -> bool:
        return name not in await session.models()

    await session.again(step, once, recheck=recheck)
    if name in await session.models():
        raise not_as_wanted(f"`{listed}` is still listed after its delete")
