"""One host during the execution of its steps: what all kinds of steps have in common."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.manifest.item import HostDesired
from fleet.names import Digest, ModelName
from fleet.ollama.client import Client
from fleet.ollama.wire import Progress
from fleet.reconcile.connection import Reach, connect
from fleet.reconcile.observe import whole
from fleet.reconcile.observed import Content, Observed, Present
from fleet.reconcile.progress import Listener, StepMoved, StepRetried
from fleet.reconcile.reading import Listing, listing
from fleet.reconcile.step import Action, Step
from fleet.reconcile.steps.shared import Shared
from fleet.reconcile.stop import Stop
from fleet.reconcile.transfer import Transferred
from fleet.settings import Settings
from fleet.state.leases import Leases

T = TypeVar("T")

_LONGEST_PAUSE = 10.0
_REFILLS = 20
"""How often the tries of one transfer are refilled by progress at most: a host could break off for ever."""
_STALLS = 3
"""How often what stands still is taken up again: each time costs the whole `stall_window` (`reliability.md` S5)."""


class SupersededError(Exception):
    """The host holds something else than when the step was planned: it is left alone. Not a failure of the host."""


class StoppedError(Exception):
    """The run was interrupted before the step sent anything."""


@dataclass(frozen=True, slots=True)
class Told:
    """What every host of the pass is given alike."""

    settings: Settings
    stop: Stop
    listener: Listener
    shared: Shared
    enough: Callable[[Step], str | None] = lambda _: None
    """Why a step is not to be begun any more, although nobody asked to stop, if so."""
    reach: Reach = connect
    leases: Leases | None = None
    """Who changes which host, over all fleets of this machine; nothing where there can be no other."""


class Session:
    """Speaks to one host for its steps. Every method raises `HostError` for what did not succeed."""

    def __init__(
        self,
        client: Client,
        desired: HostDesired,
        before: Observed,
        told: Told,
        leaving: frozenset[ModelName] = frozenset(),
    ) -> None:
        self.client = client
        self.desired = desired
        self.before = before
        self.leaving = leaving
        """Names that go in this pass."""
        self.staying: set[tuple[str, Digest | None]] = set()
        """Runners, by what they are listed as, that stayed in memory although their name was asked out: of other weights."""
        self.version = before.version
        self.settings = told.settings
        self.stop = told.stop
        self.shared = told.shared
        self.tell = told.listener
        self.contents: dict[str, Content | None] = {
            present.digest.hex: content
            for name, content in before.contents.items()
            if (present := before.models.get(name)) is not None and content is not None
        }
        """What the host showed, by the digest that it listed."""
        self.last: Mapping[ModelName, Present] = before.models
        """What the host listed when it was looked at last."""
        self._sent: set[int] = set()
        self._opened: set[int] = set()
        self._left_open: set[int] = set()
        self._left_before: set[int] = set()
        self._moved: dict[int, Transferred] = {}

    def moved(self, step: Step) -> int:
        """Bytes that the step transferred."""
        transferred = self._moved.get(step.number)
        return transferred.bytes if transferred else 0

    def transferred(self, step: Step) -> Transferred:
        """Where the bytes of the step are counted."""
        return self._moved.setdefault(step.number, Transferred())

    def may_have_changed(self, step: Step) -> bool:
        """Whether something of this step may have been carried out already."""
        return step.number in self._sent

    def opened(self, step: Step) -> bool:
        """Whether what the step's name holds may have been changed by the step."""
        return step.number in self._opened

    def left_open(self, step: Step) -> bool:
        """Whether the host may still be at it although the step gave up: nothing that was answered settled it."""
        return step.number in self._left_open or step.number in self._left_before

    def takes_up(self, step: Step) -> None:
        """An earlier run left the same, and the host may still be at it: only success proves that it is not. An error may
        have come before the host joined the two, of a registry that does not answer for one.
        """
        self._left_before.add(step.number)

    def left_before(self, step: Step) -> bool:
        """Whether the host may still be at it because of an earlier run alone."""
        return step.number in self._left_before and step.number not in self._left_open

    def _settled(self, step: Step) -> None:
        self._left_open.discard(step.number)
        self._left_before.discard(step.number)

    async def read_version(self) -> None:
        """The server may be another one than when the host was looked at: it speaks its own dialect of create."""
        self.version = await self.client.place(await self.client.version())

    async def listing(self) -> Listing:
        found = listing(await self.client.tags())
        self.last = found.models
        return found

    async def models(self) -> dict[ModelName, Present]:
        return dict((await self.listing()).models)

    async def still(self, step: Step) -> Present | None:
        """What the step's name holds just before it is changed; looked at twice where it seems to be gone, since a
        listing can miss a model for an instant (`ollama-api.md` 4). Raises `SupersededError` where it really is.
        """
        present = (await self.models()).get(step.model)
        if present is None and step.presumes is not None:
            present = (await self.models()).get(step.model)
            self.presume(step, present)
        return present

    async def listed(self, step: Step) -> Present:
        """The step's model, which the host must list by now."""
        present = (await self.models()).get(step.model)
        if present is None:
            raise not_as_wanted(f"`{step.model}` is not listed after the host said success")
        return present

    async def content(self, present: Present, *, fresh: bool = False) -> Content | None:
        """What the host shows of a model, from before where that will do; nothing for one that is not whole."""
        key = present.digest.hex
        if fresh or self.contents.get(key) is None:
            self.contents[key] = await whole(self.client, present)
        return self.contents[key]

    def presume(self, step: Step, present: Present | None) -> None:
        """Raises `SupersededError` where the name holds something else than was planned for."""
        now = present.digest if present else None
        if now != step.presumes:
            was = f"sha256:{step.presumes.short}" if step.presumes else "not there"
            raise SupersededError(
                f"`{step.model}` was {was} when this was planned, and is "
                + (f"sha256:{now.short} now" if now else "gone now")
            )

    async def transfer(
        self,
        step: Step,
        begin: Callable[[], AsyncGenerator[Progress, None]],
        recheck: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Follows a stream to its success, taking it up again where it broke off or stalled, while that moves it on."""
        moved = self.transferred(step)
        # A download keeps what it has, so it is left at once; half a create is nothing.
        resumes = step.action in {Action.PULL, Action.PUSH}
        grace = 0.0 if resumes else self.settings.grace

        async def follow() -> None:
            async with aclosing(begin()) as lines:
                async for line in lines:
                    moved.heard(line)
                    self.tell(StepMoved(step, line.status, *moved.shown(line)))

        async def once() -> None:
            await self.changing(step, self.stop.heed(follow(), grace), settles=resumes)

        tries = self.settings.pull_tries if resumes else self.settings.retry_tries
        await self.again(step, once, tries, lambda: moved.advanced(self.settings.stall_floor), recheck)
        self._settled(step)

    async def soon(self, call: Coroutine[Any, Any, T]) -> T:
        """Awaits what a host answers at once or after a while; once the run is to stop, no longer than its time of grace."""
        return await self.stop.heed(call, self.settings.grace)

    async def changing(self, step: Step, call: Awaitable[None], *, settles: bool) -> None:
        """Awaits a request that changes what the step's name holds, and notes what may be left of it. An answer to one
        that `settles` what was left before, as it joins that, ends it.
        """
        self._opened.add(step.number)
        try:
            await call
        except OutcomeUnknown:
            self._left_open.add(step.number)
            raise
        if settles:
            self._settled(step)

    async def again(
        self,
        step: Step,
        call: Callable[[], Awaitable[None]],
        tries: int | None = None,
        advanced: Callable[[], bool] = lambda: False,
        recheck: Callable[[], Awaitable[bool]] | None = None,
        *,
        patient: bool = True,
    ) -> None:
        """Makes a call that may be repeated, again while waiting may help, at most `tries` times without advancing.

        Where it is not known how a call ended, the host is looked at first: `recheck` says whether it is done already.
        Without `patient`, a call that used up its time is not repeated: it would use it up again.
        """
        tries = self.settings.retry_tries if tries is None else tries
        tried, calls = 0, 0
        mismatched = False
        while True:
            calls += 1
            try:
                await call()
                self._sent.add(step.number)
            except (HostUnreachable, OutcomeUnknown, HostAnswered) as error:
                if isinstance(error, OutcomeUnknown):
                    self._sent.add(step.number)
                tried = 1 if advanced() else tried + 1
                again = error.code.retry == "later" or isinstance(error, OutcomeUnknown)
                # It could be chance; only that it comes again and again, and nothing moves, is what its code says.
                again = again or error.code is Code.DOWNLOAD_DAMAGED
                again = again and (patient or error.code not in {Code.NO_ANSWER, Code.SILENT})
                # What has to be sent again first is not mended by asking, and what is left alone is not asked.
                again = again and error.code not in {Code.BLOB_VANISHED, Code.REGISTRY_LEFT_ALONE}
                answered = isinstance(error, HostAnswered) and error.code is not Code.REGISTRY_TROUBLE
                spent = tried >= (min(tries, self.settings.retry_tries) if answered else tries)
                spent = spent or (error.code is Code.STALLED and tried > _STALLS)
                spent = spent or calls >= _REFILLS * tries
                if not again or spent or self.stop.requested or (mismatched and error.code is Code.DIGEST_MISMATCH):
                    raise
                mismatched = mismatched or error.code is Code.DIGEST_MISMATCH
                self.tell(StepRetried(step, tried + 1, str(error)))
                await self._pause(calls)
                if isinstance(error, OutcomeUnknown) and await self._done_already(error, recheck):
                    return
            else:
                return

    async def _done_already(self, error: OutcomeUnknown, recheck: Callable[[], Awaitable[bool]] | None) -> bool:
        """A new look before anything is repeated. Raises `error` where there is nothing to be seen."""
        try:
            if recheck is not None:
                return await recheck()
            await self.client.tags()
        except HostUnreachable:
            raise error from None
        return False

    async def _pause(self, calls: int) -> None:
        longest = min(self.settings.retry_wait * 2.0 ** min(calls - 1, 30), _LONGEST_PAUSE)
        await asyncio.sleep(longest * random.random())  # noqa: S311  # full jitter, no secret


def broken(step: Step) -> HostError:
    """What to raise for a model that the host lists and cannot show."""
    return HostAnswered(
        f"`{step.model}` is listed after its {step.action}, but not whole",
        code=Code.BROKEN_MODEL,
        status=404,
        hint=Code.BROKEN_MODEL.cure,
    )


def not_as_wanted(message: str) -> HostError:
    """What to raise where the host said success, and a look shows otherwise."""
    return HostAnswered(message, code=Code.NOT_AS_WANTED, status=200, hint=Code.NOT_AS_WANTED.cure)
