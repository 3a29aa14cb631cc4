"""Publishes a created model from the host that has it, and compares what the registry then serves."""

from __future__ import annotations

from datetime import UTC, datetime

from fleet.codes import Code
from fleet.errors import HostAnswered
from fleet.manifest.item import Create
from fleet.names import Digest
from fleet.reconcile.inputs import fingerprint
from fleet.reconcile.observed import Present
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session
from fleet.registry.served import Published, Unpublished
from fleet.state.evidence import Pushed


async def push(session: Session, step: Step) -> None:
    """The registry serves what this host holds."""
    source = step.item.source if step.item else None
    if step.item is None or not isinstance(source, Create):
        raise TypeError("a push step without what was made")
    present = await session.listed(step)
    insecure = step.model.registry.lower() in session.shared.insecure
    await session.transfer(step, lambda: session.client.push(present.listed, insecure=insecure))
    served = await session.shared.ask(step.model)
    published = present.digest if served is None or isinstance(served, Unpublished) else _proven(step, present, served)
    if isinstance(served, Unpublished) and served.code is Code.NOT_IN_REGISTRY:
        raise _not_published(f"`{step.model}` was pushed, and is not there: {served.message}")
    # Also where it cannot be compared, or a registry that tells fleet nothing would be pushed to in every pass.
    session.shared.memory.keep_pushed(
        step.model,
        Pushed(session.desired.host.name, present.digest, published, fingerprint(source), datetime.now(UTC)),
    )
    if isinstance(served, Unpublished):
        raise HostAnswered(
            f"`{step.model}` was pushed, and cannot be compared: {served.message}",
            code=served.code,
            status=200,
            hint=served.hint,
        )


def _proven(step: Step, present: Present, served: Published) -> Digest:
    """The digest that the registry serves, once its content is proven to be the host's (`ollama-api.md` 4.4)."""
    image = served.image
    if image.created != present.digest and present.digest not in image.digests:
        raise _not_published(
            f"`{step.model}` was pushed, and its registry serves another content: sha256:{image.raw.short}"
        )
    return image.raw


def _not_published(message: str) -> HostAnswered:
    return HostAnswered(message, code=Code.NOT_PUBLISHED, status=200, hint=Code.NOT_PUBLISHED.cure)
