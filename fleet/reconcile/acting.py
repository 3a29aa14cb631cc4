"""What each kind of step does to a host, and how it is proven afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import assert_never

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.manifest.item import Create, HostDesired, Pull
from fleet.names import Digest, ModelName
from fleet.ollama.client import Client
from fleet.ollama.wire import Progress
from fleet.reconcile.compare import cannot_clear, changes, uncleared
from fleet.reconcile.making import request
from fleet.reconcile.observe import whole
from fleet.reconcile.observed import Content, Observed, Present, Runner
from fleet.reconcile.progress import Listener, StepMoved, StepRetried
from fleet.reconcile.reading import listing, runners
from fleet.reconcile.step import Action, Step
from fleet.reconcile.stop import Stop
from fleet.reconcile.transfer import Transferred
from fleet.reconcile.warm import runner_of
from fleet.settings import Settings

_LONGEST_PAUSE = 10.0
_FOREVER = -1.0
_REFILLS = 20
"""How often the tries of one transfer are refilled by progress at most: a host could break off for ever."""
_FORMER_POLLS = 20
"""How often memory is looked at for a runner that may be a stranger's."""


class SupersededError(Exception):
    """The host holds something else than when the step was planned: it is left alone. Not a failure of the host."""


class StoppedError(Exception):
    """The run was interrupted before the step sent anything."""


class Acting:
    """One host during a pass. Every method raises `HostError` for a step that did not succeed."""

    def __init__(
        self,
        client: Client,
        desired: HostDesired,
        before: Observed,
        settings: Settings,
        stop: Stop,
        listener: Listener,
    ) -> None:
        self._client = client
        self._insecure = {item.name: item.source.insecure for item in desired.items if isinstance(item.source, Pull)}
        self._version = before.version
        self._before = before
        self._settings = settings
        self._stop = stop
        self._listener = listener
        self._moved: dict[int, Transferred] = {}
        self._contents: dict[str, Content | None] = {
            present.digest.hex: content
            for name, content in before.contents.items()
            if (present := before.models.get(name)) is not None and content is not None
        }
        self._sent: set[int] = set()
        """Steps that may have changed something already."""
        self.out_of_memory = False
        """A load failed for lack of memory: another one would throw out what is there."""

    def moved(self, step: Step) -> int:
        """Bytes that the step transferred."""
        transferred = self._moved.get(step.number)
        return transferred.bytes if transferred else 0

    async def act(self, step: Step) -> None:
        """Does it, and proves it. Raises `HostError`, `SupersededError`, or `StoppedError` before anything was sent."""
        try:
            present = await self._as_planned(step)
            if self._stop.requested:
                raise StoppedError
            match step.action:
                case Action.PULL:
                    await self._pull(step)
                case Action.CREATE:
                    await self._create(step)
                case Action.COPY:
                    await self._copy(step)
                case Action.LOAD:
                    await self._load(step)
                case Action.UNLOAD:
                    await self._release(step, step.listed)
                case Action.DELETE:
                    if present is not None:
                        await self._delete(step)
                case _:
                    assert_never(step.action)
        except HostUnreachable as error:
            if step.number not in self._sent:
                raise
            # It was sent, and the look that would have proven it did not come about.
            raise OutcomeUnknown(str(error), code=error.code, hint=error.hint, told=error.told) from error

    async def _models(self) -> dict[ModelName, Present]:
        return dict(listing(await self._client.tags()).models)

    async def _as_planned(self, step: Step) -> Present | None:
        """The model as it is now, if that is what the plan presumes."""
        found = listing(await self._client.tags())
        if step.action is Action.DELETE and step.model not in found.models:
            # A listing can miss a model for an instant (`ollama-api.md` 4): that would be taken for a delete done.
            found = listing(await self._client.tags())
        if step.model in found.unreadable or any(one.name == step.model for one, _ in found.collisions):
            raise SupersededError(f"the host lists `{step.model}` twice now, or not as what")
        present = found.models.get(step.model)
        if step.action is Action.LOAD and step.new_after is not None:
            return present  # it was brought by this very pass
        if step.action is Action.DELETE and present is None:
            return None
        self._presume(step, present)
        return present

    @staticmethod
    def _presume(step: Step, present: Present | None) -> None:
        now = present.digest if present else None
        if now != step.presumes:
            was = f"sha256:{step.presumes.short}" if step.presumes else "not there"
            raise SupersededError(
                f"`{step.model}` was {was} when this was planned, and is "
                + (f"sha256:{now.short} now" if now else "gone now")
            )

    async def _pull(self, step: Step) -> None:
        await self._transfer(
            step, lambda: self._client.pull(step.listed, insecure=self._insecure.get(step.model, False))
        )
        present = await self._listed(step)
        if await self._content(present, fresh=True) is None:
            raise self._broken(step)

    async def _create(self, step: Step) -> None:
        create = step.item.source if step.item else None
        if not isinstance(create, Create):
            raise TypeError("a create step without what to create")
        base, base_content = await self._base(create)
        field = uncleared(create, base_content, self._version)
        if field is not None:
            # Not known when this was planned: the base came in the same pass.
            raise HostAnswered(
                cannot_clear(field, create), code=Code.CANNOT_CLEAR, status=200, hint=Code.CANNOT_CLEAR.cure
            )
        wanted = request(create, step.listed, base.listed, self._version)

        async def recheck() -> bool:
            await self._base(create)
            present = (await self._models()).get(step.model)
            made = await self._content(present, fresh=True) if present else None
            if made is None or changes(create, made, base_content, self._version):
                # Neither what was there nor what was asked for would be somebody else's.
                self._presume(step, present)
            return False

        await self._transfer(step, lambda: self._client.create(wanted), recheck)
        made = await self._content(await self._listed(step), fresh=True)
        if made is None:
            raise self._broken(step)
        differing = changes(create, made, base_content, self._version)
        if differing:
            fields = ", ".join(f"`{change.field}`" for change in differing)
            raise self._not_as_wanted(f"`{step.model}` was created, but differs in {fields}")

    async def _base(self, create: Create) -> tuple[Present, Content]:
        """The base as it is now, whole. Raises `HostAnswered` where it is not: some servers would pull it by
        themselves, or destroy what is there (`ollama-api.md` 7.7).
        """
        base = (await self._models()).get(create.base)
        content = await self._content(base, fresh=True) if base else None
        if base is None or content is None:
            raise HostAnswered(
                f"the base `{create.base}` is {'not whole' if base else 'gone'}", code=Code.SOURCE_NOT_THERE, status=404
            )
        return base, content

    async def _copy(self, step: Step) -> None:
        if step.source is None:
            raise TypeError("a copy step without a source")
        models = await self._models()
        source, present = models.get(step.source), models.get(step.model)
        if source is None:
            raise HostAnswered(f"the source `{step.source}` is gone", code=Code.SOURCE_NOT_THERE, status=404)
        if present is not None and present.digest == source.digest:
            return

        async def once() -> None:
            await self._client.copy(source.listed, step.listed)

        async def recheck() -> bool:
            now = (await self._models()).get(step.model)
            if now is not None and now.digest == source.digest:
                return True
            self._presume(step, now)
            return False

        await self._again(step, once, self._settings.retry_tries, recheck=recheck)
        now = (await self._models()).get(step.model)
        if now is None or now.digest != source.digest:
            raise self._not_as_wanted(f"`{step.model}` is not what `{step.source}` is after the copy")

    async def _delete(self, step: Step) -> None:
        async def once() -> None:
            await self._client.delete(step.listed)

        async def recheck() -> bool:
            now = (await self._models()).get(step.model)
            if now is not None:
                self._presume(step, now)
            return now is None

        await self._again(step, once, self._settings.retry_tries, recheck=recheck)
        if step.model in await self._models():
            raise self._not_as_wanted(f"`{step.model}` is still listed after its delete")

    async def _load(self, step: Step) -> None:
        warm = step.item.warm if step.item else None
        if warm is None:
            raise TypeError("a load step without how to load")
        present = await self._listed(step)
        content = await self._content(present)
        keep_alive = _FOREVER if warm.keep_alive is None else warm.keep_alive
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in warm.options.items()}

        async def once() -> None:
            await self._stop.heed(
                self._client.load(
                    present.listed,
                    keep_alive=keep_alive,
                    options=options,
                    embedding=content is not None and content.embeds_only,
                ),
                self._settings.grace,
            )

        try:
            await self._again(step, once, self._settings.retry_tries, patient=False)
            former = await self._former(present, content)
            if former:
                # Same weights, loaded under what the name held before: the server keeps that runner and its digest.
                await self._release(step, present.listed, former)
                await self._again(step, once, self._settings.retry_tries, patient=False)
        except HostError as error:
            self.out_of_memory = self.out_of_memory or error.code is Code.OUT_OF_MEMORY
            raise

    async def _former(self, present: Present, content: Content | None) -> frozenset[Runner]:
        """The runners that may be this model's under a digest which is not listed any more, if none is plainly its."""
        models = await self._models()
        running = runners(await self._client.ps())
        contents = {name: self._contents.get(model.digest.hex) for name, model in models.items()}
        contents[present.name] = content
        now = Observed(self._before.host, self._version, models, running, contents)
        if runner_of(present.name, now) is not None:
            return frozenset()
        listed = {model.listed: name for name, model in models.items()}

        def may_be(runner: Runner) -> bool:
            if runner.listed not in listed or runner.listed == present.listed:
                return True
            other = contents.get(listed[runner.listed])
            return content is not None and other is not None and other.weights == content.weights

        return frozenset(runner for runner in running if not now.by_digest(runner.digest) and may_be(runner))

    async def _release(self, step: Step, listed: str, former: frozenset[Runner] = frozenset()) -> None:
        """Asks a model out of memory and waits until it is gone: servers say yes at once (`ollama-api.md` 12.2).

        Of `former` runners one is this model's and goes; a stranger's stays, and is not waited for long.
        """
        present = (await self._models()).get(step.model)
        before = former or {
            runner
            for runner in runners(await self._client.ps())
            if runner.listed == listed or (present is not None and runner.digest == present.digest)
        }
        gone = {_key(runner) for runner in before}

        async def once() -> None:
            await self._client.unload(listed)

        await self._again(step, once, self._settings.retry_tries)
        loop = asyncio.get_running_loop()
        wait = self._settings.unload_wait
        until = loop.time() + (min(wait, _FORMER_POLLS * self._settings.poll_interval) if former else wait)
        while gone and gone <= {_key(runner) for runner in runners(await self._client.ps())}:
            if self._stop.requested:
                raise OutcomeUnknown(f"interrupted while `{listed}` was leaving memory", code=Code.INTERRUPTED)
            if loop.time() >= until:
                if former:
                    return
                raise HostAnswered(
                    f"`{listed}` was still in memory after {wait:g}s: requests run on it",
                    code=Code.STILL_IN_USE,
                    status=200,
                    hint=Code.STILL_IN_USE.cure,
                )
            await asyncio.sleep(self._settings.poll_interval)

    async def _transfer(
        self,
        step: Step,
        begin: Callable[[], AsyncGenerator[Progress, None]],
        recheck: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Follows a stream to its success, taking it up again where it broke off or stalled, while that moves it on."""
        moved = self._moved[step.number] = Transferred()
        # A download keeps what it has, so it is left at once; half a create is nothing.
        grace = 0.0 if step.action is Action.PULL else self._settings.grace

        async def follow() -> None:
            async with aclosing(begin()) as lines:
                async for line in lines:
                    moved.heard(line)
                    self._listener(StepMoved(step, line.status, *moved.shown(line)))

        async def once() -> None:
            await self._stop.heed(follow(), grace)

        tries = self._settings.pull_tries if step.action is Action.PULL else self._settings.retry_tries
        await self._again(step, once, tries, lambda: moved.advanced(self._settings.stall_floor), recheck)

    async def _again(
        self,
        step: Step,
        call: Callable[[], Awaitable[None]],
        tries: int,
        advanced: Callable[[], bool] = lambda: False,
        recheck: Callable[[], Awaitable[bool]] | None = None,
        *,
        patient: bool = True,
    ) -> None:
        """Makes a call that may be repeated, again while waiting may help, at most `tries` times without advancing.

        Where it is not known how a call ended, the host is looked at first: `recheck` says whether it is done already.
        Without `patient`, a call that used up its time is not repeated: it would use it up again.
        """
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
                again = again and (patient or error.code not in {Code.NO_ANSWER, Code.SILENT})
                answered = isinstance(error, HostAnswered) and error.code is not Code.REGISTRY_TROUBLE
                spent = tried >= (min(tries, self._settings.retry_tries) if answered else tries)
                spent = spent or calls >= _REFILLS * tries
                if not again or spent or self._stop.requested or (mismatched and error.code is Code.DIGEST_MISMATCH):
                    raise
                mismatched = mismatched or error.code is Code.DIGEST_MISMATCH
                self._listener(StepRetried(step, tried + 1, str(error)))
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
            await self._client.tags()
        except HostUnreachable:
            raise error from None
        return False

    async def _pause(self, calls: int) -> None:
        longest = min(self._settings.retry_wait * 2.0 ** min(calls - 1, 30), _LONGEST_PAUSE)
        await asyncio.sleep(longest * random.random())  # noqa: S311  # full jitter, no secret

    async def _listed(self, step: Step) -> Present:
        present = (await self._models()).get(step.model)
        if present is None:
            raise self._not_as_wanted(f"`{step.model}` is not listed after the host said success")
        return present

    async def _content(self, present: Present, *, fresh: bool = False) -> Content | None:
        key = present.digest.hex
        if fresh or self._contents.get(key) is None:
            self._contents[key] = await whole(self._client, present)
        return self._contents[key]

    @staticmethod
    def _broken(step: Step) -> HostError:
        return HostAnswered(
            f"`{step.model}` is listed after its {step.action}, but not whole",
            code=Code.BROKEN_MODEL,
            status=404,
            hint=Code.BROKEN_MODEL.cure,
        )

    @staticmethod
    def _not_as_wanted(message: str) -> HostError:
        return HostAnswered(message, code=Code.NOT_AS_WANTED, status=200, hint=Code.NOT_AS_WANTED.cure)


def _key(runner: Runner) -> tuple[str, Digest | None]:
    return runner.listed, runner.digest
