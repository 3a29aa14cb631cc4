"""What each kind of step does to a host: looked at just before, carried out, proven afterwards."""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.manifest.item import HostDesired
from fleet.names import ModelName
from fleet.ollama.client import Client
from fleet.reconcile.backup import is_backup
from fleet.reconcile.difference import Blocked, Reason
from fleet.reconcile.observed import Observed, Present
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.arriving import arrived
from fleet.reconcile.steps.asking import check
from fleet.reconcile.steps.copying import copy_alias
from fleet.reconcile.steps.creating import create
from fleet.reconcile.steps.deleting import delete
from fleet.reconcile.steps.holding import held
from fleet.reconcile.steps.pulling import pull
from fleet.reconcile.steps.pushing import push
from fleet.reconcile.steps.recording import recorded
from fleet.reconcile.steps.replacing import replacing
from fleet.reconcile.steps.session import Session, StoppedError, SupersededError, Told
from fleet.reconcile.steps.uploading import upload_step
from fleet.reconcile.steps.warming import load, release, unload, unload_what_goes

__all__ = ["Acting", "StoppedError", "SupersededError"]

_SETTLED_HERE = frozenset({Action.LOAD, Action.CHECK, Action.PUSH})
"""Of a model that this very pass brings, nothing could be presumed when they were planned."""


class Acting:
    """One host during a pass. Every method raises `HostError` for a step that did not succeed."""

    def __init__(
        self, client: Client, desired: HostDesired, before: Observed, told: Told, leaving: Collection[ModelName] = ()
    ) -> None:
        """`leaving` are the names that go in this pass."""
        self._session = Session(client, desired, before, told, frozenset(leaving))
        self.out_of_memory = False
        """A load failed for lack of memory: another one would throw out what is there."""
        self.disk_full = False
        """Something did not fit on the disk: what else is brought would fail likewise, and leave damage behind."""

    def moved(self, step: Step) -> int:
        """Bytes that the step transferred."""
        return self._session.moved(step)

    def held(self, step: Step, followed: Collection[ModelName] = ()) -> Blocked | None:
        """Why the step is left for later, if it is. `followed` is what was left and is followed before all else."""
        return held(self._session, step, followed)

    async def act(self, step: Step) -> None:
        """Does it, and proves it. Raises `HostError`, `SupersededError`, `StoppedError` before anything was sent, or
        `fleet.state.memory.StateError` where it was done and cannot be recorded.
        """
        session = self._session
        try:
            present = await self._as_planned(step)
            if session.stop.requested:
                raise StoppedError
            match step.action:
                case Action.PULL:
                    await recorded(session, step, present, lambda: pull(session, step))
                case Action.UPLOAD:
                    await upload_step(session, step)
                case Action.CREATE:
                    await recorded(session, step, present, lambda: create(session, step))
                case Action.CHECK:
                    await check(session, step)
                case Action.COPY if step.reason is Reason.PUT_BACK:
                    # Of nobody's declaring, and what stands there is kept by nobody either.
                    await copy_alias(session, step)
                case Action.COPY:
                    await recorded(
                        session, step, present, lambda: replacing(session, step, lambda: copy_alias(session, step))
                    )
                case Action.LOAD | Action.RELEASE:
                    await self._load(step)
                case Action.UNLOAD if step.reason is Reason.IN_MEMORY and present is not None:
                    await unload_what_goes(session, step, present)
                case Action.UNLOAD:
                    await unload(session, step, step.listed)
                case Action.DELETE:
                    if present is not None:
                        if not is_backup(step.model):
                            # Planned or not, the plan's own look at memory is old by now.
                            await unload_what_goes(session, step, present)
                        await delete(session, step)
                case Action.PUSH:
                    await push(session, step)
                case _:
                    assert_never(step.action)
        except HostAnswered as error:
            self.disk_full = self.disk_full or error.code is Code.DISK_FULL
            raise
        except HostUnreachable as error:
            if not session.may_have_changed(step):
                raise
            # It was sent, and the look that would have proven it did not come about.
            raise OutcomeUnknown(str(error), code=error.code, hint=error.hint, told=error.told) from error

    async def _load(self, step: Step) -> None:
        """A release asks for the model as well, and may find no memory if it left meanwhile."""
        into_memory = release if step.action is Action.RELEASE else load
        try:
            await into_memory(self._session, step)
        except HostError as error:
            self.out_of_memory = self.out_of_memory or error.code is Code.OUT_OF_MEMORY
            raise

    async def _as_planned(self, step: Step) -> Present | None:
        """The model as it is now, if that is what the plan presumes."""
        session = self._session
        if step.action is Action.UPLOAD:
            return None
        found = await session.listing()
        if step.action is Action.DELETE and step.model not in found.models:
            # A listing can miss a model for an instant (`ollama-api.md` 4): that would be taken for a delete done.
            found = await session.listing()
        if step.model in found.unreadable or any(one.name == step.model for one, _ in found.collisions):
            raise SupersededError(f"the host lists `{step.model}` twice now, or not as what")
        present = found.models.get(step.model)
        if step.action is Action.RELEASE or (step.action in _SETTLED_HERE and step.new_after is not None):
            return present
        if step.action is Action.DELETE and present is None:
            return None
        if not await arrived(session, step, found):
            session.presume(step, present)
        return present
