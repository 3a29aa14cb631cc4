"""Asks hosts what they hold, many at once. What comes back is a value: seen, or unseen with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from fleet.codes import Code
from fleet.errors import HostError, HostUnreachable
from fleet.manifest.item import HostDesired
from fleet.names import HostName, ModelName
from fleet.ollama.breakage import no_room
from fleet.ollama.client import Client, ModelMissing
from fleet.reconcile.connection import Reach, connect
from fleet.reconcile.observed import Content, Observation, Observed, Present, Unobserved
from fleet.reconcile.places import at_once
from fleet.reconcile.questions import to_show, to_show_besides
from fleet.reconcile.reading import content, listing, runners
from fleet.settings import Settings
from fleet.state.evidence import Evidence

_BETWEEN_TRIES = 1.0
"""Seconds between two looks at a host that is waited for."""

_REPLIES = 20
"""How many replies, each just in time, one look may take: a host can list thousands of models to ask about."""


EvidenceOf = Callable[[HostDesired], Mapping[ModelName, Evidence]]
"""What is recorded of a host's created models, so that less has to be asked."""

Awaited = Callable[[HostName, Unobserved, float], None]
"""Takes why a host did not answer, and for how many seconds more it is asked."""


async def observe_all(
    hosts: Iterable[HostDesired],
    settings: Settings,
    seen: Callable[[HostName, Observation], None],
    evidence_of: EvidenceOf = lambda _: {},
    awaited: Awaited = lambda *_: None,
    reach: Reach = connect,
) -> dict[HostName, Observation]:
    """Looks at each host, at most `settings.parallelism` at once, and tells `seen` as results come, and `awaited` before
    a host is asked again.

    Never raises for what a host does.
    """
    room = asyncio.Semaphore(at_once(settings.parallelism))
    observations: dict[HostName, Observation] = {}
    until = asyncio.get_running_loop().time() + settings.wait

    async def one(desired: HostDesired) -> None:
        evidence = evidence_of(desired)
        observations[desired.host.name] = await _patiently(desired, settings, room, until, evidence, awaited, reach)
        seen(desired.host.name, observations[desired.host.name])

    async with asyncio.TaskGroup() as group:
        for desired in hosts:
            group.create_task(one(desired))
    return observations


async def _patiently(
    desired: HostDesired,
    settings: Settings,
    room: asyncio.Semaphore,
    until: float,
    evidence: Mapping[ModelName, Evidence],
    awaited: Awaited,
    reach: Reach,
) -> Observation:
    """Asks again, up to the moment `until`, while the host is not reachable; waiting takes no place from others."""
    now = asyncio.get_running_loop().time
    while True:
        async with room:
            observation = await observe(desired, settings, evidence, reach, room)
        left = until - now()
        if isinstance(observation, Observed) or observation.code.retry != "later" or left <= 0:
            return observation
        if desired.host.suspended is not None:
            return observation  # expected to be down
        awaited(desired.host.name, observation, left)
        await asyncio.sleep(min(_BETWEEN_TRIES, left))


async def observe(
    desired: HostDesired,
    settings: Settings,
    evidence: Mapping[ModelName, Evidence] | None = None,
    reach: Reach = connect,
    room: asyncio.Semaphore | None = None,
) -> Observation:
    """One look at one host, whatever it does; a place in the `room` is given to others while the host has it wait."""
    try:
        async with reach(desired.host, settings) as client:
            if room is not None:
                client.pause = _outside(room, client.pause)
            return await look(client, desired, settings, evidence)
    except Exception as error:
        return unobserved(desired.host.name, error)


def unobserved(host: HostName, error: Exception) -> Unobserved:
    """The value that stands for a host which could not be looked at. What is no `HostError` is something that this machine
    lacks, or a fault of fleet itself, kept as that host's, so that the others go on.
    """
    if isinstance(error, HostError):
        return Unobserved(host, error.code, str(error), error.hint, error.told)
    lacking = no_room(error)
    if lacking is not None:
        return Unobserved(
            host, Code.NO_ROOM_HERE, f"this machine has no room for it ({lacking})", Code.NO_ROOM_HERE.cure
        )
    return Unobserved(host, Code.INTERNAL, f"{type(error).__name__}: {error}")


def _outside(room: asyncio.Semaphore, pause: Callable[[float], Awaitable[None]]) -> Callable[[float], Awaitable[None]]:
    """Waits as `pause` does, without the place in the room, and comes back in."""

    async def outside(seconds: float) -> None:
        room.release()
        try:
            await pause(seconds)
        finally:
            await room.acquire()

    return outside


async def look(
    client: Client, desired: HostDesired, settings: Settings, evidence: Mapping[ModelName, Evidence] | None = None
) -> Observed:
    """Version, tags, ps, and show where a decision hangs on it, within a time. Raises `HostError`."""
    longest = _REPLIES * settings.answer_deadline
    pause = client.pause
    try:
        async with asyncio.timeout(longest) as limit:

            async def uncounted(seconds: float) -> None:
                """A wait that the host asked for, or that is our own, is not what it takes to answer."""
                limit.reschedule((limit.when() or 0) + seconds)
                await pause(seconds)

            client.pause = uncounted
            return await _look(client, desired, evidence or {})
    except TimeoutError:
        raise HostUnreachable(
            f"looking at the host took longer than {longest:g}s, though each reply came in time",
            code=Code.NO_ANSWER,
            hint=Code.NO_ANSWER.cure,
        ) from None
    finally:
        client.pause = pause


async def _look(client: Client, desired: HostDesired, evidence: Mapping[ModelName, Evidence]) -> Observed:
    version = await client.place(await client.version())
    found = listing(await client.tags())
    if found.models and any(item.name not in found.models for item in desired.items):
        # A listing can miss a model for the instant in which its image manifest is rewritten (`ollama-api.md` 4);
        # either of two may, so the fuller one counts.
        again = listing(await client.tags())
        found = max(again, found, key=lambda listed: len(listed.models))
    running = runners(await client.ps())
    listed = {present.digest for present in found.models.values()}
    if any(runner.digest is not None and runner.digest not in listed for runner in running):
        # Brought and loaded since, or removed and still in memory: the newer of two listings tells.
        again = listing(await client.tags())
        listed_again = {present.digest for present in again.models.values()}
        if any(runner.digest in listed_again - listed for runner in running):
            found = again
    contents: dict[ModelName, Content | None] = {}
    asked = to_show(desired, found.models, running, evidence)
    while asked:
        for name in asked:
            contents[name] = await whole(client, found.models[name])
        asked = to_show_besides(desired, found.models, contents)
    return Observed(
        desired.host.name,
        version,
        found.models,
        running,
        contents,
        found.collisions,
        found.unreadable,
        found.invalid,
        client.now(),
        modified=found.modified,
    )


async def whole(client: Client, present: Present) -> Content | None:
    """What the model is, or nothing where the host lists it but cannot show it (`ollama-api.md` 4)."""
    try:
        return content(await client.show(present.listed))
    except ModelMissing:
        return None
