"""Deletes a name from a host, and proves that it is gone."""

from __future__ import annotations

from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session, not_as_wanted


async def delete(session: Session, step: Step) -> None:
    """The host lists the step's model no more."""

    async def once() -> None:
        await session.soon(session.client.delete(step.listed))

    async def recheck() -> bool:
        now = (await session.models()).get(step.model)
        if now is not None:
            session.presume(step, now)
        return now is None

    await session.again(step, once, recheck=recheck)
    if step.model in await session.models():
        raise not_as_wanted(f"`{step.model}` is still listed after its delete")
    host = session.desired.host.name
    session.shared.memory.forget_evidence(host, step.model)
    session.shared.memory.give_back(host, step.model)
    session.shared.memory.forget_made(host, step.model)
