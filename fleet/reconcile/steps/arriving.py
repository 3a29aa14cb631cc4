"""What a run that was killed had begun may come to its end between the plan and its step: then it is as if it had been
there before. Everything else that moved meanwhile is somebody else's, and left alone.
"""

from __future__ import annotations

from fleet.manifest.item import Create
from fleet.names import Digest
from fleet.reconcile.compare import changes
from fleet.reconcile.observed import Present
from fleet.reconcile.reading import Listing
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.session import Session


async def arrived(session: Session, step: Step, found: Listing) -> bool:
    """Whether the step's name holds by now what the same step of an earlier run had begun, and what this one wants."""
    present = found.models.get(step.model)
    left = session.shared.known(session.desired.host).begun.get(step.model)
    if present is None or left is None or left.action != step.action.value or left.former != step.presumes:
        return False
    match step.action:
        case Action.PULL:
            return present.digest in _brought(step) and await session.content(present, fresh=True) is not None
        case Action.COPY:
            source = found.models.get(step.source) if step.source is not None else None
            return source is not None and source.digest == present.digest
        case Action.CREATE:
            return await _made(session, step, present, found)
        case _:
            return False


def _brought(step: Step) -> frozenset[Digest]:
    if step.accepts is not None:
        return step.accepts
    return frozenset() if step.new is None else frozenset({step.new})


async def _made(session: Session, step: Step, present: Present, found: Listing) -> bool:
    source = step.item.source if step.item is not None else None
    if not isinstance(source, Create):
        return False
    base = found.models.get(source.base) if source.base is not None else None
    base_content = await session.content(base, fresh=True) if base is not None else None
    if source.base is not None and base_content is None:
        return False
    made = await session.content(present, fresh=True)
    return made is not None and not changes(source, made, base_content, session.version)
