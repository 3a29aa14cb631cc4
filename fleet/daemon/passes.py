"""Passes under way: each starts work on every host that is free, and ends when the last of them is done.

No host is worked on twice at a time. One that is still at work when a pass begins is no part of it: it is told of as soon as
it is free, so that it gets the newest state in a pass of its own.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

from fleet.daemon.done import Done
from fleet.daemon.ended import document_of, judge
from fleet.daemon.exclusive import Exclusive
from fleet.daemon.source.reading import Snapshot
from fleet.daemon.status import Outcome, PassStatus
from fleet.daemon.triggers import Asked
from fleet.daemon.unit import NEWER, Bench, Round, work_on
from fleet.errors import ExitCode
from fleet.manifest.item import Desired, HostDesired
from fleet.names import HostName
from fleet.reconcile.observed import Observed
from fleet.reconcile.publishers import publishers
from fleet.reconcile.publishing import to_push
from fleet.reconcile.run import Pass, before_asking
from fleet.reconcile.stop import Stop
from fleet.reconcile.suspending import with_suspensions
from fleet.render.held_back import refusal_text
from fleet.settings import Settings
from fleet.state.history import History
from fleet.state.suspensions import Suspension, Suspensions


@dataclass(slots=True)
class _Running:
    """One pass."""

    number: int
    begun: datetime
    since: float
    triggers: tuple[str, ...]
    snapshot: Snapshot
    whole: bool
    """Whether it is about every host that was free."""
    resources: AsyncExitStack
    left: set[HostName]
    """Hosts that are still worked on."""
    done: list[Done] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Freed:
    """A host that is free again, after passes began without it."""

    host: HostName
    triggers: tuple[str, ...]
    at_once: bool


class Passes:
    """Lives in one event loop. What fails for good is in `failed`, and nothing is begun any more then."""

    def __init__(
        self,
        settings: Settings,
        bench: Bench,
        history: History,
        suspensions: Suspensions,
        exclusive: Exclusive,
        newest: Callable[[], Snapshot | None],
        *,
        freed: Callable[[Freed | None], None],
        passed: Callable[[], None],
    ) -> None:
        """`newest` tells what is in force. `freed` is told of each host that is done, by name where passes began without
        it; `passed` of the end of each pass.
        """
        self._settings = settings
        self._bench = bench
        self._history = history
        self._suspensions = suspensions
        self._exclusive = exclusive
        self._newest = newest
        self._freed = freed
        self._passed = passed
        self._running: dict[int, _Running] = {}
        self._units: dict[HostName, asyncio.Task[None]] = {}
        self._missed: dict[HostName, tuple[tuple[str, ...], bool]] = {}
        """Hosts that were at work when passes began."""
        self._suspended: frozenset[HostName] = frozenset()
        self._worked: tuple[Snapshot, Mapping[HostName, Suspension], Desired] | None = None
        self._settled: Snapshot | None = None
        self._code: ExitCode | None = None
        self.desired: Mapping[HostName, HostDesired] = {}
        """What the newest pass wants of each host."""
        self.failed: Exception | None = None
        self.last_success: datetime | None = None
        self.refusals: tuple[str, ...] = ()
        """What guards hold back of the whole fleet."""
        self.last: tuple[Done, ...] = ()
        """What came of the hosts in the pass that ended last."""
        bench.enough = self._enough

    @property
    def busy(self) -> frozenset[HostName]:
        """Hosts that are worked on."""
        return frozenset(self._units)

    def stop(self, code: ExitCode) -> None:
        """Nothing new is begun; what is at work gets its time of grace."""
        self._code = self._code or code
        for stop in self._bench.stops.values():
            stop.request(code)

    def suspended(self, host: HostName) -> None:
        """Somebody suspended it: what is at work there begins no further step."""
        self._suspended |= {host}

    async def begin(self, snapshot: Snapshot, asked: Asked, begun: datetime) -> None:
        """Starts one pass over the hosts that are asked for and free; none where none of them is. Raises `StateError`,
        and `LockError` where another run has the lock.
        """
        bench = self._bench
        await self._exclusive.take()
        if bench.memory.refresh():
            bench.calm.clear()
        work = self._work(snapshot)
        self._let_go(work.desired)
        wanted = [
            each for name, each in sorted(work.desired.hosts.items()) if asked.hosts is None or name in asked.hosts
        ]
        for host in wanted:
            if host.host.name in self._units:
                triggers, at_once = self._missed.get(host.host.name, ((), False))
                triggers = tuple(dict.fromkeys((*triggers, *asked.triggers)))
                self._missed[host.host.name] = triggers, at_once or host.host.name in asked.at_once
        free = [host for host in wanted if host.host.name not in self._units]
        if not free:
            await self.release()
            return
        number = self._history.begin(begun, asked.triggers, snapshot.revision, dry_run=self._settings.dry_run)
        resources = AsyncExitStack()
        this = _Running(
            number, begun, bench.clocks.monotonic(), asked.triggers, snapshot, asked.hosts is None, resources,
            {host.host.name for host in free},
        )  # fmt: skip
        self._running[number] = this
        ask = await resources.enter_async_context(publishers(work.desired, self._settings))
        round_ = Round(snapshot, work, before_asking(work), ask, bench.memory.remembered())
        # Whatever failed there before: a person named them.
        bench.backoff.release(asked.at_once & this.left)
        bench.counters.pass_begun()
        for host in free:
            self._start(host, this, round_)

    async def finish(self) -> None:
        """Waits for all hosts that are worked on, as long as they take."""
        while self._units:
            await asyncio.wait(list(self._units.values()))
        await self.release()

    def _let_go(self, desired: Desired) -> None:
        """Forgets hosts that the inventory has no more, those at work once they are done."""
        self.desired = desired.hosts
        for gone in (self._bench.board.hosts.keys() - desired.hosts.keys()) - self._units.keys():
            self._bench.forget(gone)

    def _work(self, snapshot: Snapshot) -> Pass:
        """What is desired now: the manifests, less what somebody suspended since."""
        suspended = self._suspensions.all(self._bench.clocks.now())
        self._suspended = frozenset(suspended)
        if self._worked is None or self._worked[0] is not snapshot or self._worked[1] != suspended:
            # Hosts for which nothing changed have to stay the same objects, by which calm ones are known.
            self._worked = (snapshot, suspended, with_suspensions(snapshot.desired, suspended))
            self._bench.keeps_seen = any(map(to_push, self._worked[2].hosts.values()))
        desired = self._worked[2]
        return Pass(
            desired,
            snapshot.fingerprint,
            self._settings,
            sources=snapshot.sources,
            locked=snapshot.locked,
            self_name=self._settings.self_name,
            apart=dict(self._bench.seen) if self._bench.keeps_seen else {},
        )

    def _start(self, host: HostDesired, this: _Running, round_: Round) -> None:
        name = host.host.name
        self._bench.backoff.begin(name)
        # Made before the unit begins: whoever stops it must not come too early.
        stop = self._bench.stops[name] = Stop()
        if self._code is not None:
            stop.request(self._code)

        async def unit() -> None:
            done = Done(name, None, cut=True)
            try:
                done = await work_on(host, round_, self._bench)
            except Exception as error:  # a record that cannot be kept, or a fault of ours: neither may go by unseen
                self._fail(error)
            try:
                await self._left(done, this)
            except Exception as error:  # likewise
                self._fail(error)
            finally:
                self._freed(self._free(name))

        self._units[name] = asyncio.create_task(unit(), name=f"{name} in pass {this.number}")

    async def _left(self, done: Done, this: _Running) -> None:
        this.left.discard(done.host)
        if done.looked or done.cut:
            this.done.append(done)
        self._bench.counters.host_left(done.host)
        if not this.left:
            await self._end(this)

    def _free(self, name: HostName) -> Freed | None:
        self._bench.stops.pop(name, None)
        self._units.pop(name, None)
        missed = self._missed.pop(name, None)
        if name not in self.desired:
            self._bench.forget(name)
            return None
        return None if missed is None else Freed(name, *missed)

    async def release(self) -> None:
        """Gives the lock back where nothing is worked on."""
        if not self._units and not self._running:
            await self._exclusive.release()

    def _fail(self, error: Exception) -> None:
        self.failed = self.failed or error
        self.stop(ExitCode.COULD_NOT_RUN)

    async def _end(self, this: _Running) -> None:
        bench = self._bench
        del self._running[this.number]
        await this.resources.aclose()
        bench.save()
        self.last = tuple(sorted(this.done, key=lambda done: done.host))
        judged = judge(self.last)
        ended = bench.clocks.now()
        told_of = judged.outcome is not Outcome.UNCHANGED or any(done.plan and done.plan.steps for done in self.last)
        document = document_of(self.last) if told_of else None
        self._history.end(this.number, ended, str(judged.outcome), judged.done, judged.failed, judged.message, document)
        self._history.keep(self._settings.history_keep)
        bench.counters.pass_ended(judged.outcome, bench.clocks.monotonic() - this.since)
        if judged.complete and this.whole:
            self.last_success = ended
        if any(isinstance(done.observation, Observed) for done in self.last):
            # Told by the plans of hosts that were seen; of those that were not, nothing is known to have changed.
            plans = [done.plan for done in self.last if done.plan is not None]
            found = dict.fromkeys(
                refusal_text(refusal) for plan in plans for refusal in plan.refused if refusal.host is None
            )
            self.refusals = tuple(found)
        record = PassStatus(
            this.number, this.begun, ended, this.triggers, this.snapshot.revision, judged.outcome, judged.done,
            judged.failed, judged.message,
        )  # fmt: skip
        bench.log.pass_finished(record, bench.board.hosts.values())
        bench.log.refused(self.refusals)
        if this.snapshot is not self._settled and this.whole:
            # What is kept from pass to pass is a million values in all: looking through them for garbage again and
            # again would hold up the loop for half a second each time.
            self._settled = this.snapshot
            gc.collect()
            gc.freeze()
        self._passed()

    def _enough(self, host: HostName, round_: Round) -> str | None:
        """Why no further step of a host is to be begun: what it works by is no longer what is wanted."""
        if host in self._suspended and round_.work.desired.hosts[host].host.suspended is None:
            return "the host was suspended meanwhile"
        newest, was = self._newest(), round_.snapshot
        if newest is None or newest is was:
            return None
        wanted, before = newest.desired.hosts.get(host), was.desired.hosts[host]
        same = (
            wanted is not None
            and (wanted.items, wanted.absent) == (before.items, before.absent)
            and wanted.host == before.host
            and newest.desired.policy == was.desired.policy
            and newest.desired.registries == was.desired.registries
            and newest.locked == was.locked
        )
        return None if same else NEWER
