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
from fleet.names import ModelName
from fleet.ollama.client import Client
from fleet.ollama.wire import Progress
from fleet.reconcile.compare import changes
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


class SupersededError(Exception):
    """The host holds something else than when the step was planned: it is left alone. Not a failure of the host."""


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
        self.out_of_memory = False
        """A load failed for lack of memory: another one would throw out what is there."""

    def moved(self, step: Step) -> int:
        """Bytes that the step transferred."""
        transferred = self._moved.get(step.number)
        return transferred.bytes if transferred else 0

    async def act(self, step: Step) -> None:
        """Does it, and proves it. Raises `HostError` or `SupersededError`."""
        present = await self._as_planned(step)
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
                await self._unload(step)
            case Action.DELETE:
                if present is not None:
                    await self._delete(step)
            case _:
                assert_never(step.action)

    async def _models(self) -> dict[ModelName, Present]:
        return dict(listing(await self._client.tags()).models)

    async def _as_planned(self, step: Step) -> Present | None:
        """The model as it is now, if that is what the plan presumes."""
        present = (await self._models()).get(step.model)
        if step.action is Action.LOAD and step.new_after is not None:
            return present  # it was brought by this very pass
        if step.action is Action.DELETE and present is None:
            return None
        now = present.digest if present else None
        if now != step.presumes:
            was = f"sha256:{step.presumes.short}" if step.presumes else "not there"
            raise SupersededError(
                f"`{step.model}` was {was} when this was planned, and is "
                + (f"sha256:{now.short} now" if now else "gone now")
            )
        return present

    async def _pull(self, step: Step) -> None:
        await self._transfer(
            step, lambda: self._client.pull(step.listed, insecure=self._insecure.get(step.model, False))
        )
        present = await self._listed(step)
        if await self._content(present, fresh=True) is None:
            raise self._not_as_wanted(f"`{step.model}` is listed after its pull, but not whole")

    async def _create(self, step: Step) -> None:
        create = step.item.source if step.item else None
        if not isinstance(create, Create):
            raise TypeError("a create step without what to create")
        base = (await self._models()).get(create.base)
        base_content = await self._content(base, fresh=True) if base else None
        if base is None or base_content is None:
            # Never sent: some servers would destroy what is there (`ollama-api.md` 7.7).
            raise HostAnswered(
                f"the base `{create.base}` is {'not whole' if base else 'gone'}", code=Code.SOURCE_NOT_THERE, status=404
            )
        wanted = request(create, step.listed, base.listed, self._version)
        await self._transfer(step, lambda: self._client.create(wanted))
        made = await self._content(await self._listed(step), fresh=True)
        if made is None:
            raise self._not_as_wanted(f"`{step.model}` is listed after its create, but not whole")
        differing = changes(create, made, base_content, self._version)
        if differing:
            fields = ", ".join(f"`{change.field}`" for change in differing)
            raise self._not_as_wanted(f"`{step.model}` was created, but differs in {fields}")

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

        await self._again(step, once, self._settings.retry_tries)
        now = (await self._models()).get(step.model)
        if now is None or now.digest != source.digest:
            raise self._not_as_wanted(f"`{step.model}` is not what `{step.source}` is after the copy")

    async def _delete(self, step: Step) -> None:
        async def once() -> None:
            await self._client.delete(step.listed)

        await self._again(step, once, self._settings.retry_tries)
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
            await self._again(step, once, self._settings.retry_tries)
            if await self._served_by_former(present, content):
                # Same weights, loaded under what the name held before: the server keeps that runner and its digest.
                await self._release(step, present.listed, former=True)
                await self._again(step, once, self._settings.retry_tries)
        except HostError as error:
            self.out_of_memory = self.out_of_memory or error.code is Code.OUT_OF_MEMORY
            raise

    async def _served_by_former(self, present: Present, content: Content | None) -> bool:
        """Whether no runner can be told to be this model's, while one is of content that is not listed any more."""
        models = await self._models()
        running = runners(await self._client.ps())
        contents = {name: self._contents.get(model.digest.hex) for name, model in models.items()}
        contents[present.name] = content
        now = Observed(self._before.host, self._version, models, running, contents)
        return runner_of(present.name, now) is None and any(not now.by_digest(r.digest) for r in running)

    async def _unload(self, step: Step) -> None:
        await self._release(step, step.listed)

    async def _release(self, step: Step, listed: str, *, former: bool = False) -> None:
        """Asks a model out of memory and waits until it is gone: servers say yes at once (`ollama-api.md` 12.2).

        With `former`, what is to go may stand under a digest that is not listed any more.
        """
        models = await self._models()
        present = models.get(step.model)
        digests = {model.digest for model in models.values()}

        def held(runner: Runner) -> bool:
            own = present is not None and runner.digest == present.digest
            return own or runner.listed == listed or (former and runner.digest not in digests)

        before = {(r.listed, r.digest) for r in runners(await self._client.ps()) if held(r)}

        async def once() -> None:
            await self._client.unload(listed)

        await self._again(step, once, self._settings.retry_tries)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.unload_wait
        while before and before <= {(r.listed, r.digest) for r in runners(await self._client.ps())}:
            # Former content of other weights may stay; the one runner of these weights has to go.
            if loop.time() >= until:
                raise HostAnswered(
                    f"`{listed}` was still in memory after {self._settings.unload_wait:g}s: requests run on it",
                    code=Code.STILL_IN_USE,
                    status=200,
                    hint=Code.STILL_IN_USE.cure,
                )
            await asyncio.sleep(self._settings.poll_interval)

    async def _transfer(self, step: Step, begin: Callable[[], AsyncGenerator[Progress, None]]) -> None:
        """Follows a stream to its success, taking it up again where it broke off or stalled, while that moves it on."""
        moved = self._moved[step.number] = Transferred()

        async def follow() -> None:
            async with aclosing(begin()) as lines:
                async for line in lines:
                    moved.heard(line)
                    self._listener(StepMoved(step, line.status, *moved.shown(line)))

        async def once() -> None:
            await self._stop.heed(follow(), self._settings.grace)

        tries = self._settings.pull_tries if step.action is Action.PULL else self._settings.retry_tries
        await self._again(step, once, tries, lambda: moved.advanced(self._settings.stall_floor))

    async def _again(
        self,
        step: Step,
        call: Callable[[], Awaitable[None]],
        tries: int,
        advanced: Callable[[], bool] = lambda: False,
    ) -> None:
        """Makes a call that may be repeated, again while waiting may help, at most `tries` times without advancing."""
        tried = 0
        mismatched = False
        while True:
            try:
                await call()
            except (HostUnreachable, OutcomeUnknown, HostAnswered) as error:
                tried = 1 if advanced() else tried + 1
                again = error.code.retry == "later" or isinstance(error, OutcomeUnknown)
                spent = tried >= (min(tries, self._settings.retry_tries) if isinstance(error, HostAnswered) else tries)
                if not again or spent or self._stop.requested or (mismatched and error.code is Code.DIGEST_MISMATCH):
                    raise
                mismatched = mismatched or error.code is Code.DIGEST_MISMATCH
                self._listener(StepRetried(step, tried + 1, str(error)))
                await self._pause(tried)
                if isinstance(error, OutcomeUnknown):
                    await self._client.tags()  # observed again before anything else: a host that is gone ends it here
            else:
                return

    async def _pause(self, tried: int) -> None:
        longest = min(self._settings.retry_wait * 2 ** (tried - 1), _LONGEST_PAUSE)
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
    def _not_as_wanted(message: str) -> HostError:
        return HostAnswered(message, code=Code.NOT_AS_WANTED, status=200, hint=Code.NOT_AS_WANTED.cure)
