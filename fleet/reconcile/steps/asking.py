"""Asks a model the questions of its entry as a step of the pass, and records what came of it."""

from __future__ import annotations

from datetime import UTC, datetime

from fleet.codes import Code
from fleet.errors import HostAnswered
from fleet.reconcile.checks.checking import ask
from fleet.reconcile.checks.verdict import questions_of
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session
from fleet.state.evidence import Checked


async def check(session: Session, step: Step) -> None:
    """The model answers as its entry wants it. Raises `HostAnswered` for one that does not."""
    if step.item is None:
        raise TypeError("a check step without questions")
    present = await session.listed(step)
    answered = await session.stop.heed(
        ask(session.client, present, step.item, load_timeout=session.settings.load_timeout), session.settings.grace
    )
    host = session.desired.host
    session.shared.memory.keep_checked(
        host.name,
        host.url,
        step.model,
        Checked(present.digest, questions_of(step.item.check), answered.passed, answered.told, datetime.now(UTC)),
    )
    if not answered.passed:
        raise HostAnswered(
            f"`{step.model}` failed its check: {answered.told}",
            code=Code.CHECK_FAILED,
            status=200,
            hint=Code.CHECK_FAILED.cure,
        )
