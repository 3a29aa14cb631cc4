"""Loads models into a host's memory, lets them go back to the server's own time, and asks them out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, OutcomeUnknown
from fleet.manifest.item import ParameterValue
from fleet.names import Digest, ModelName
from fleet.ollama.versions import Capability, has
from fleet.reconcile.known import SERVER_DEFAULT
from fleet.reconcile.observed import Content, Observed, Present, Runner
from fleet.reconcile.reading import runners
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session
from fleet.reconcile.warm import goes_in_memory, runner_of

_FOREVER = -1.0
_FORMER_POLLS = 20
"""How often memory is looked at for a runner that may be a stranger's."""


async def load(session: Session, step: Step) -> None:
    """The model is in memory in its current content, as its entry wants it kept."""
    warm = step.item.warm if step.item else None
    if warm is None:
        raise TypeError("a load step without how to load")
    present = await session.listed(step)
    content = await session.content(present)
    keep_alive = _FOREVER if warm.keep_alive is None else warm.keep_alive

    async def once() -> None:
        await session.stop.heed(_loaded(session, present, content, keep_alive, warm.options), session.settings.grace)

    host, memory = session.desired.host, session.shared.memory
    first = step.model not in session.shared.known(host).loaded
    if first:
        # Before, so that a run that is killed does not forget whose it is. Former options stay until others are loaded.
        memory.keep_loaded(host.name, host.url, step.model, dict(warm.options))
    try:
        await session.again(step, once, patient=False)
    except HostAnswered:
        if first:
            memory.forget_loaded(host.name, step.model)
        raise
    former = await _former(session, present, content)
    if former:
        # Same weights, loaded under what the name held before: the server keeps that runner and its digest.
        await unload(session, step, present.listed, former)
        await session.again(step, once, patient=False)
    memory.keep_loaded(host.name, host.url, step.model, dict(warm.options))


async def release(session: Session, step: Step) -> None:
    """The model stays in memory for the servers' own time, as if nobody had asked for longer."""
    present = await session.listed(step)
    content = await session.content(present)
    options = step.release or {}
    if await _runner(session, present, content) is None:
        # It left by itself since this was planned: a load would bring it back.
        session.shared.memory.forget_loaded(session.desired.host.name, step.model)
        return

    async def once() -> None:
        await session.stop.heed(_loaded(session, present, content, SERVER_DEFAULT, options), session.settings.grace)

    await session.again(step, once, patient=False)
    session.shared.memory.forget_loaded(session.desired.host.name, step.model)


async def _loaded(
    session: Session,
    present: Present,
    content: Content | None,
    keep_alive: float,
    options: Mapping[str, ParameterValue],
) -> None:
    await session.client.load(
        present.listed,
        keep_alive=keep_alive,
        options={key: list(value) if isinstance(value, tuple) else value for key, value in options.items()},
        embedding=content is not None and content.embeds_only,
    )


async def _former(session: Session, present: Present, content: Content | None) -> frozenset[Runner]:
    """The runners that may be this model's under a digest which is not listed any more, if none is plainly its.

    What such a runner is called tells nothing: that name may have got other weights since. The model was loaded just now,
    so that one of them has its weights, and to unload it by this model's name leaves all others alone.
    """
    now = await _memory(session, present, content)
    if runner_of(present.name, now) is not None:
        return frozenset()
    return frozenset(runner for runner in now.runners if not now.by_digest(runner.digest))


async def _runner(session: Session, present: Present, content: Content | None) -> Runner | None:
    """What serves the model at this moment."""
    return runner_of(present.name, await _memory(session, present, content))


async def _memory(session: Session, present: Present, content: Content | None) -> Observed:
    """The host's listing and memory as they are now, with what it showed of its models before."""
    return _observed(session, present, content, await session.models(), await _running(session))


def _observed(
    session: Session,
    present: Present,
    content: Content | None,
    models: Mapping[ModelName, Present],
    running: tuple[Runner, ...],
) -> Observed:
    contents = {name: session.contents.get(model.digest.hex) for name, model in models.items()}
    contents[present.name] = content
    return Observed(session.before.host, session.version, models, running, contents)


async def unload(session: Session, step: Step, listed: str, former: frozenset[Runner] = frozenset()) -> None:
    """Asks a model out of memory and waits until it is gone: servers say yes at once (`ollama-api.md` 12.2).

    Of `former` runners one is this model's and goes; a stranger's stays, and is not waited for long. What the name held
    when other weights were loaded under it cannot be asked out by it any more, and stays (`ollama-api.md` 11).
    """
    present = (await session.models()).get(step.model)
    before = former or await _serving(session, listed, present)
    gone = {_key(runner): runner for runner in before}

    async def once() -> None:
        await session.soon(session.client.unload(listed))

    await session.again(step, once)
    loop = asyncio.get_running_loop()
    wait, poll = session.settings.unload_wait, session.settings.poll_interval
    until = loop.time() + (min(wait, _FORMER_POLLS * poll) if former else wait)
    while (
        gone and gone.keys() <= (left := {_key(runner): runner for runner in runners(await session.client.ps())}).keys()
    ):
        if session.stop.requested:
            raise OutcomeUnknown(f"interrupted while `{listed}` was leaving memory", code=Code.INTERRUPTED)
        if loop.time() >= until:
            if former or all(_of_other_weights(runner, left[key], present) for key, runner in gone.items()):
                session.staying |= gone.keys()
                return
            raise _in_use(listed, wait)
        await asyncio.sleep(poll)


async def _serving(session: Session, listed: str, present: Present | None) -> frozenset[Runner]:
    """What may go with it: the runner of its weights, and any that was loaded under its name."""
    if present is None:
        return frozenset(runner for runner in runners(await session.client.ps()) if runner.listed == listed)
    now = await _memory(session, present, session.contents.get(present.digest.hex))
    own = runner_of(present.name, now)
    return frozenset(runner for runner in now.runners if runner == own or runner.listed == listed)


async def unload_what_goes(session: Session, step: Step, present: Present) -> None:
    """Just before a model's name goes: out of memory, unless a name that stays is served by the same runner. Somebody may
    have loaded it since it was planned that it goes, or made something else of its weights.
    """
    if not has(session.version, Capability.UNLOAD_DIRECT) or not (running := await _running(session)):
        return
    content, models = await session.content(present), await session.models()
    for item in session.desired.items:
        other = models.get(item.name)
        if other is not None and not other.remote:
            await session.content(other)
    if goes_in_memory(present, _observed(session, present, content, models, running), session.leaving):
        await unload(session, step, present.listed)


async def _running(session: Session) -> tuple[Runner, ...]:
    """What is in memory now, but for what was waited for in vain."""
    return tuple(runner for runner in runners(await session.client.ps()) if _key(runner) not in session.staying)


def _of_other_weights(before: Runner, now: Runner, present: Present | None) -> bool:
    """Whether a runner was loaded as what the name held earlier, and nobody asked it to go: only that shortens its time."""
    return present is not None and now.digest != present.digest and now.expires_at == before.expires_at


def _in_use(listed: str, wait: float) -> HostError:
    return HostAnswered(
        f"`{listed}` was still in memory after {wait:g}s: requests run on it",
        code=Code.STILL_IN_USE,
        status=200,
        hint=Code.STILL_IN_USE.cure,
    )


def _key(runner: Runner) -> tuple[str, Digest | None]:
    return runner.listed, runner.digest
