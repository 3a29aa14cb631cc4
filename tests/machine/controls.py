"""Naive ways of what `reliability.md` C.11 says most get wrong: each puts one function in place of the product's own.

They are here to fail. The machine has to find every one of them, else it would not find such a mistake in the product.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, NamedTuple

from fleet import foreign, names
from fleet.errors import HostError
from fleet.manifest.item import Create, HostDesired
from fleet.names import Digest, ModelName
from fleet.ollama import client, stream, wire
from fleet.ollama.failure import Doing
from fleet.ollama.stream import Watch
from fleet.ollama.wire import Progress
from fleet.reconcile import created, diff, guard, inputs, observe
from fleet.reconcile.connection import connect
from fleet.reconcile.created import Standing
from fleet.reconcile.difference import Reason, State
from fleet.reconcile.observed import Content, Observation
from fleet.reconcile.step import Action
from fleet.reconcile.steps import acting, holding, pulling, recording
from fleet.reconcile.steps.acting import Acting
from fleet.reconcile.steps.session import Session
from fleet.reconcile.steps.warming import load, release
from fleet.state.evidence import Begun, Made
from fleet.state.memory import Memory


class Control(NamedTuple):
    """One mistake: `rows` are the faults of the matrix that it gets wrong, `how` puts it in place."""

    name: str
    rows: str
    about: str
    how: Callable[[], Any]


@contextmanager
def put(*places: tuple[Any, str], naive: Any) -> Iterator[None]:
    """`naive` in place of one function, wherever it is known by this name."""
    former = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name in places:
        setattr(owner, name, naive)
    try:
        yield
    finally:
        for owner, name, was in former:
            setattr(owner, name, was)


def _hear(watch: Watch, progress: Progress) -> None:
    """A limit on silence will do."""
    watch.phase = watch._phase_of(progress)


async def _progress(
    self: client.Client, path: str, body: Mapping[str, Any], doing: Doing
) -> AsyncGenerator[Progress, None]:
    """Status 200, and the stream came to its end: it worked."""
    watch = Watch(doing, self._limits, self._clock)
    raw = __import__("json").dumps(body).encode()
    lines = self._link.lines(path, raw, doing=doing, opening=watch.patience, patience=lambda: watch.patience)
    async with aclosing(lines):
        async for line in lines:
            progress = wire.read(Progress, line)
            watch.hear(progress)
            yield progress


async def _nothing(*_: object, **__: object) -> None:
    """Not worth it."""


def _none(*_: object, **__: object) -> None:
    """There is nothing in the way."""


@contextmanager
def _case_counts() -> Iterator[None]:
    def post_init(name: ModelName) -> None:
        key = f"{name.registry}/{name.namespace}/{name.model}:{name.tag}"
        object.__setattr__(name, "key", key)
        object.__setattr__(name, "_hash", hash(key))

    names._parse.cache_clear()
    try:
        with put((ModelName, "__post_init__"), naive=post_init):
            yield
    finally:
        names._parse.cache_clear()


def _standing(create: Create, _present: object, made: Content | None, *_: object) -> Standing:
    """What was sent is what has to be there."""
    sent = {file.digest for file in create.files}
    if made is not None and (not sent or sent == made.weights):
        return Standing(State.AS_DESIRED)
    return Standing(State.DIFFERS, Reason.INPUTS_CHANGED)


async def _load(self: Acting, step: Any) -> None:
    """One that does not fit says nothing of the next."""
    await (release if step.action is Action.RELEASE else load)(self._session, step)


async def _again(self: Session, step: Any, call: Callable[[], Awaitable[None]], *_: object, **__: object) -> None:
    """It will work some time."""
    while True:
        try:
            await call()
            self._sent.add(step.number)
        except HostError:
            await asyncio.sleep(30)
        else:
            return


def _with_owner(_begun: Begun, _made: Made | None, now: Digest, at: Any, undone: int = 0) -> Made:
    """What is asked for is fleet's."""
    return Made(now, True, at, undone)


def _init(init: Callable[..., None]) -> Callable[..., None]:
    def wall(self: client.Client, *arguments: Any, **further: Any) -> None:
        """A clock is a clock."""
        init(self, *arguments, **further)
        self._clock = lambda: self.now().timestamp()

    return wall


async def _observe(
    desired: HostDesired, settings: Any, evidence: Any = None, reach: Any = connect, _: Any = None
) -> Observation:
    """Whatever goes wrong, somebody will hear of it."""
    async with reach(desired.host, settings) as reached:
        return await observe.look(reached, desired, settings, evidence)


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Texts of servers are texts."""
    clean = foreign.clean
    known = [module for module in list(sys.modules.values()) if getattr(module, "clean", None) is clean]
    with put(*((module, "clean") for module in known), naive=lambda text, *_, **__: text):
        yield


CONTROLS = (
    Control("no rule for stalls", "S5", "a read time-out looks sufficient", lambda: put((stream.Watch, "hear"), naive=_hear)),
    Control("the end is success", "S1 S4", "the end of a stream is taken for its result", lambda: put((client.Client, "_progress"), naive=_progress)),
    Control("nothing is waited for", "H2", "deletes and replaces beside what is unfinished", lambda: put((holding, "waits_for"), naive=_none)),
    Control("what was begun is forgotten", "H3", "a killed run leaves no word of what its host is at", lambda: put((Memory, "begin"), naive=_none)),
    Control("deleted as it runs", "H1", "no unload before a delete", lambda: put((acting, "unload_what_goes"), naive=_nothing)),
    Control("case counts", "D12 S16", "names are compared as they are spelled", _case_counts),
    Control("any digest will do", "R5", "what a pull brings is not compared with the pin", lambda: put((pulling, "_accepted"), naive=lambda *_: True)),
    Control("the file is the layer", "U9", "what was uploaded is taken for what is made", lambda: put((created, "standing"), (diff, "standing"), naive=_standing)),
    Control("less is less", "D6", "a shrunken desired state is carried out", lambda: put((guard, "shrunk"), naive=_none)),
    Control("nothing there is missing", "H8", "a host that lists nothing is filled", lambda: put((guard, "emptied"), naive=_none)),
    Control("memory comes back", "W1", "loads go on after one that found no memory", lambda: put((Acting, "_load"), naive=_load)),
    Control("try, try again", "H6", "an error that stays is retried for ever", lambda: put((Session, "again"), naive=_again)),
    Control("a file is its name", "U4", "a file that changed is not noticed", lambda: put((inputs, "_digest"), naive=lambda file: file.key)),
    Control("asked for is owned", "P9 K7", "ownership follows what is asked for", lambda: put((recording, "with_owner"), naive=_with_owner)),
    Control("the wall's clock", "T1", "stalls are measured by a clock that can be set", lambda: put((client.Client, "__init__"), naive=_init(client.Client.__init__))),
    Control("one for all", "K11", "one host's failure ends the run", lambda: put((observe, "observe"), naive=_observe)),
    Control("text is text", "A.5", "texts of servers are shown as they are", _as_it_is),
)  # fmt: skip
"""In the order of C.11; ranks 9 and 14 have two each."""
