"""The network of the machine's world: what changes a host is seen as the host sees it, remains of what was left included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet.simulate.calls import Call, host_call, read_ahead
from fleet.simulate.memory import MemoryTransport
from tests.machine.declared import ORIGIN
from tests.machine.spelled import full
from tests.machine.violations import Violation

REMAINS = 200.0
"""Seconds that a host goes on with what a client has left, where it does: shorter than fleet waits for it."""
ALONE = 120.0
"""Seconds that what is left needs before it gets any further."""
_CHANGES = frozenset({"pull", "create", "copy", "delete"})
_STREAMS = frozenset({"pull", "create"})


@dataclass(eq=False, slots=True)
class Operation:
    """One request of fleet's that changes a host, from its arrival until the host is done with it."""

    host: str
    kind: str
    name: str
    former: str | None
    """What the name held when it came."""
    run: int
    exclusive: bool
    asked: str
    """The request itself: the same once more comes to the same, or joins what is under way."""
    success: bool = False
    failed: bool = False
    out_of_memory: bool = False
    settled: bool = False
    """Whether the same was asked once more and came to its end, by whom ever: servers work on one download once."""
    number: int = 0
    """In the order in which they came."""
    at: float = 0.0
    """When it came, in seconds of the loop."""
    came: bool = False
    """Whether its name holds something else than before: what it was for, unless somebody else was at it."""
    unlisted: bool = False
    """Whether its name was free for all that the host listed when it came."""
    forgotten: bool = False
    """Whether the record of it is lost: nobody can know that it was fleet's."""


@dataclass(slots=True)
class Watched:
    """A layer before one host."""

    host: str
    app: ASGIApp
    eyes: Eyes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, receive = await read_ahead(scope, receive)
        call = host_call(scope, body)
        operation = self.eyes.begins(self.host, call)
        if operation is None:
            await self.app(scope, receive, send)
            return

        lingering = self.eyes.lingering and call.kind in _STREAMS
        left = asyncio.Event()
        alone = False

        async def told(message: Message) -> None:
            nonlocal alone
            _hear(operation, message)
            if left.is_set() and not alone and not operation.failed:
                alone = True
                await asyncio.sleep(ALONE)
            await send(message)

        async def deaf() -> Message:
            """A host that does not notice that its client has left."""
            message = await receive()
            if message["type"] == "http.disconnect":
                left.set()
                await asyncio.sleep(REMAINS)
            return message

        work = asyncio.ensure_future(self.app(scope, deaf if lingering else receive, told))
        self.eyes.working.add(work)

        def done(ended: asyncio.Future[None]) -> None:
            self.eyes.working.discard(work)
            self.eyes.ends(operation)
            if not ended.cancelled():
                ended.exception()

        work.add_done_callback(done)
        if lingering:
            await asyncio.shield(work)
        else:
            try:
                await work
            finally:
                if not work.done():
                    work.cancel()
                    await asyncio.wait({work})


@dataclass(slots=True)
class Eyes:
    """What the layers of all hosts share."""

    holds: Callable[[str, str], str | None]
    """The digest that a host has under a full name."""
    twice: Callable[[str, str], bool]
    """Whether another name has the same content."""
    began: Callable[[Operation], None]
    """Called before the host does something."""
    ended: Callable[[Operation], None]
    """Called when it is done with it."""
    now: Callable[[], float]
    """In seconds of the loop."""
    looked: dict[str, float] = field(default_factory=dict)
    """When each host was asked last what it lists."""
    run: int = 0
    """Numbers the runs of fleet; what an earlier one left is told apart."""
    lingering: bool = False
    """Whether hosts go on with what a client has left."""
    blind: bool = False
    """Whether what comes is a stranger's."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    under_way: list[Operation] = field(default_factory=list)
    history: list[Operation] = field(default_factory=list)
    """Of the present run."""
    working: set[asyncio.Future[None]] = field(default_factory=set)
    violation: Violation | None = None
    """The first one that was seen; the run goes on, since a host does not mind."""

    def looks(self) -> None:
        """Settles what brought something under its name: that is written last of all, only words are still to come."""
        for each in self.under_way:
            held = self.holds(each.host, each.name) if each.kind in _STREAMS else None
            each.came = each.came or (held is not None and held != each.former)
            if each.came or (each.kind == "pull" and held is not None and not each.exclusive):
                self._settles(each)

    def _settles(self, operation: Operation) -> None:
        for other in self.under_way:
            other.settled = other.settled or self._same(other, operation)

    @staticmethod
    def _same(one: Operation, other: Operation) -> bool:
        """The same once more, of which the same comes."""
        return (one.host, one.kind, one.name, one.asked) == (other.host, other.kind, other.name, other.asked)

    def begins(self, host: str, call: Call) -> Operation | None:
        self.looks()
        if call.kind == "tags":
            self.looked[host] = self.now()
        if self.blind or call.kind not in _CHANGES | {"load", "unload", "push", "blob_post"}:
            return None
        name = full(call.model) if call.model else ""
        former = self.holds(host, name) if name else None
        exclusive = call.kind in {"create", "delete"} or (call.kind in {"pull", "copy"} and former is not None)
        if call.kind == "pull" and any(
            (each.host, each.kind, each.name, each.former) == (host, "pull", name, None) for each in self.history
        ):
            exclusive = False  # The run's own once more, whose first answer was lost: it brings what is there.
        if name == full(ORIGIN) and self.twice(host, name):
            exclusive = False  # What was pulled by way of it holds all its layers by now: none of them goes.
        operation = Operation(host, call.kind, name, former, self.run, exclusive, json.dumps(call.body, sort_keys=True))
        operation.number, operation.at = next(self.numbers), self.now()
        operation.settled = any(each.came and self._same(each, operation) for each in self.history)
        if call.kind in _CHANGES:
            self._alone(operation)
        if call.kind == "load":
            self._one_load(operation)
        self.began(operation)
        self.under_way.append(operation)
        self.history.append(operation)
        return operation

    def ends(self, operation: Operation) -> None:
        self.looks()
        self.under_way.remove(operation)
        if operation.success:
            self._settles(operation)
        self.ended(operation)

    def settle(self, host: str, pulled: str | None = None) -> None:
        """The host was restarted, or somebody else's pull of that full name brought it: ours goes on no more."""
        for each in self.under_way:
            same = pulled is None or (each.kind == "pull" and each.name == pulled)
            each.settled = each.settled or (each.host == host and same)

    def see(self, violation: Violation) -> None:
        self.violation = self.violation or violation

    def _alone(self, new: Operation) -> None:
        """E4: nothing exclusive beside anything else that changes what is on the disk. A copy to a free name is over at
        once, and what it names is safe from then on.
        """
        if new.kind == "copy" and not new.exclusive:
            return
        for other in self.under_way:
            if other.host != new.host or other.kind not in _CHANGES or other.settled:
                continue
            if (new.exclusive or other.exclusive) and not self._same(new, other):
                told = f"{new.kind} {new.name} on {new.host} while {other.kind} {other.name} was not over there"
                self.see(Violation("E4", told))

    def _one_load(self, new: Operation) -> None:
        """E13: one load at a time, and none after one that found no memory."""
        for other in self.under_way:
            if other.host == new.host and other.kind == "load":
                self.see(Violation("E13", f"two loads at once on {new.host}: {other.name}, {new.name}"))
        short = [each for each in self.history if each.host == new.host and each.out_of_memory and each.run == self.run]
        if short and short[0].name != new.name:
            self.see(Violation("E13", f"{new.name} is loaded on {new.host} after {short[0].name} found no memory"))


class Network(MemoryTransport):
    """Watches the addresses that it was told belong to hosts."""

    def __init__(self, eyes: Eyes) -> None:
        super().__init__()
        self._eyes = eyes
        self.called: dict[int, str] = {}
        """Hosts by port."""

    def open(self, address: str, app: ASGIApp) -> None:
        host = self.called.get(int(address.rpartition(":")[2]))
        super().open(address, Watched(host, app, self._eyes) if host is not None else app)


def _hear(operation: Operation, message: Message) -> None:
    if message["type"] == "http.response.start":
        operation.failed = operation.failed or message["status"] >= 400
        return
    body = message.get("body", b"")
    if b"out of memory" in body or b"requires more system memory" in body:
        operation.out_of_memory = True
    for line in body.splitlines():
        said = _json(line)
        if "error" in said:
            operation.failed, operation.success = True, False
        elif said.get("status") == "success" and not operation.failed:
            operation.success = True


def _json(line: bytes) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
