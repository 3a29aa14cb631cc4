"""The pass, repeated: reads what is desired, starts work on every host that is free, and keeps the history of it.

Passes read everything anew and remember nothing that could be read again. A host that is still at work when a pass
begins is left to what it does, and gets the newest state as soon as it is free.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.daemon.ended import document_of, judge, told
from fleet.daemon.exclusive import Exclusive
from fleet.daemon.following import Following
from fleet.daemon.inforce import InForce
from fleet.daemon.schedule import Calendar, Heartbeat
from fleet.daemon.source.reading import Snapshot
from fleet.daemon.status import Condition, Outcome, PassStatus
from fleet.daemon.triggers import CALENDAR, INTERVAL, REQUEST, RETRY, SIGNAL, Asked, Triggers
from fleet.daemon.unit import NEWER, Bench, Done, Round, work_on
from fleet.errors import ExitCode, LockError
from fleet.manifest.item import Desired, HostDesired
from fleet.names import HostName
from fleet.reconcile.publishers import publishers
from fleet.reconcile.publishing import to_push
from fleet.reconcile.run import Pass, before_asking
from fleet.reconcile.suspending import with_suspensions
from fleet.render.history import pass_document
from fleet.settings import Settings
from fleet.state.history import History, PassRecord
from fleet.state.memory import StateError
from fleet.state.suspensions import Suspension, Suspensions

_SHOWN = 20
"""Passes that the board has at hand; the history has the rest."""
_AGAIN = 10.0
"""Seconds until the next try where another run has the lock, at most."""


@dataclass(slots=True)
class _Pass:
    """One pass while it runs."""

    number: int
    begun: datetime
    since: float
    triggers: tuple[str, ...]
    revision: str
    round: Round
    resources: AsyncExitStack
    left: set[HostName]
    """Hosts that are still worked on."""
    done: list[Done] = field(default_factory=list)
    cut: bool = False
    """Whether a host was left out because of the daemon's end."""


class Loop:
    """The daemon's heart. Every method belongs into its event loop; `run` is called once."""

    def __init__(
        self,
        settings: Settings,
        in_force: InForce,
        bench: Bench,
        history: History,
        suspensions: Suspensions,
        exclusive: Exclusive,
        *,
        heartbeat: Heartbeat,
        calendar: Calendar | None,
        passed: Callable[[], None] = lambda: None,
    ) -> None:
        """`passed` is told of the end of each pass."""
        self.passed = passed
        self._settings = settings
        self.in_force = in_force
        self._bench = bench
        self._board = bench.board
        self._history = history
        self._suspensions = suspensions
        self._exclusive = exclusive
        self._counters = bench.counters
        self._log = bench.log
        self._clocks = bench.clocks
        bench.enough = self.enough
        self._heartbeat = heartbeat
        self._calendar = calendar
        self._triggers = Triggers()
        self._stopping = asyncio.Event()
        self._passes: dict[int, _Pass] = {}
        self._units: dict[HostName, asyncio.Task[None]] = {}
        self._again: dict[HostName, _Pass] = {}
        """Hosts that were at work when a newer pass began."""
        self.desired: Mapping[HostName, HostDesired] = {}
        """What the newest pass wants of each host."""
        self._suspended: frozenset[HostName] = frozenset()
        self._worked: tuple[Snapshot, Mapping[HostName, Suspension], Desired] | None = None
        self._settled: Desired | None = None
        self._failed: Exception | None = None
        self._last_success: datetime | None = None
        self._refusals: tuple[str, ...] = ()
        self.begun = self._clocks.monotonic()
        """When the last round began."""
        self.last: tuple[Done, ...] = ()
        """What came of the hosts in the pass that ended last."""

    # What people and hooks ask for.

    def reconcile(self, trigger: str, hosts: Sequence[HostName] = ()) -> None:
        """A pass soon, over these hosts or all; what a person named waits for nothing."""
        wanted = frozenset(hosts) or frozenset(self._board.hosts)
        at_once = wanted if trigger in {REQUEST, SIGNAL} else frozenset()
        self._triggers.add(trigger, hosts or None, at_once=at_once)

    def source_moved(self) -> None:
        self.in_force.moved()

    def suspend(self, host: HostName, until: datetime | None, reason: str) -> None:
        """Raises `KeyError` and `StateError`."""
        if host not in self._board.hosts:
            raise KeyError(host)
        self._suspensions.suspend(host, self._clocks.now(), until, reason)
        self._suspended |= {host}
        self._triggers.add(REQUEST, [host], at_once=[host])

    def resume(self, host: HostName) -> None:
        """Raises `KeyError`, `ValueError` where the inventory suspends it, and `StateError`."""
        if host not in self._board.hosts:
            raise KeyError(host)
        if not self._suspensions.resume(host) and self._board.hosts[host].condition is Condition.SUSPENDED:
            raise ValueError(f"`{host}` is suspended by the inventory, and by nobody else")
        self._triggers.add(REQUEST, [host], at_once=[host])

    def history(self, limit: int, before: int | None = None) -> Sequence[PassStatus]:
        return [_shown(record) for record in self._history.list(limit, before)]

    def pass_document(self, number: int) -> dict[str, Any] | None:
        found = self._history.one(number)
        if found is None:
            return None
        record, document = found
        return pass_document(self._board.fleet.name, record, document)

    # The loop itself.

    @property
    def busy(self) -> bool:
        """Whether any host is worked on."""
        return bool(self._units)

    @property
    def stopped(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    @property
    def following(self) -> Mapping[HostName, Following]:
        """What the steps of hosts are at."""
        return self._bench.following

    async def reload(self) -> None:
        """Reads the source anew and wants a pass over all hosts, which waits for nothing."""
        self.in_force.moved()
        await self.in_force.read()
        self._show()
        self.reconcile(SIGNAL)

    def stop(self) -> None:
        """Ends `run`: nothing new is begun, what is at work gets its time of grace."""
        self._stopping.set()
        self._triggers.add(SIGNAL)
        for stop in self._bench.stops.values():
            stop.request(ExitCode.TERMINATED)

    async def run(self, first: str) -> None:
        """Passes until `stop`, the first one at once. Raises `StateError` where nothing can be recorded any more."""
        self._triggers.add(first)
        due = self._plan_next(self._heartbeat.after(self._clocks.monotonic()))
        async with asyncio.TaskGroup() as group:
            followed = group.create_task(self._follow())
            try:
                while not self._stopping.is_set():
                    if await self._triggers.wait(self._until(due)):
                        # Whoever asks in the same moment is served by the same pass.
                        await asyncio.sleep(0)
                    if self._stopping.is_set():
                        break
                    now = self._clocks.monotonic()
                    if now >= due:
                        self._triggers.add(INTERVAL)
                    if self._calendar is not None and self._calendar.due(self._clocks.now()):
                        self._triggers.add(CALENDAR)
                    ripe = (self._bench.backoff.due_hosts() & self._board.hosts.keys()) - self._units.keys()
                    asked = self._triggers.take()
                    if ripe and not asked.triggers:
                        asked = Asked((RETRY,), frozenset(ripe))
                    if not asked.triggers:
                        continue
                    whole = asked.hosts is None
                    if await self.round(asked):
                        due = self._plan_next(self._heartbeat.after(now)) if whole else due
                    else:
                        due = self._plan_next(now + min(_AGAIN, self._settings.interval))
                    self._raise()
            finally:
                followed.cancel()
                await self.finish()
        self._raise()

    async def once(self, trigger: str) -> tuple[Done, ...]:
        """One pass over all hosts, to its end; it waits for nothing. Raises as `run`, and `LockError`."""
        await self.in_force.read()
        snapshot = self.in_force.snapshot
        hosts = frozenset(snapshot.desired.hosts) if snapshot is not None else frozenset[HostName]()
        if not await self.round(Asked((trigger,), at_once=hosts), strict=True):
            return ()
        await self.finish()
        self._raise()
        return self.last

    async def finish(self) -> None:
        """Waits for all hosts that are worked on, as long as they take."""
        while self._units:
            await asyncio.wait(list(self._units.values()))
        await self._release()

    def _plan_next(self, due: float) -> float:
        """Tells when the next pass is due by itself, and gives it back."""
        left = timedelta(seconds=max(0.0, due - self._clocks.monotonic()))
        self._board.put_fleet(replace(self._board.fleet, next_pass=self._clocks.now() + left))
        return due

    def _until(self, due: float) -> float:
        """Seconds until something is due by itself."""
        now = self._clocks.monotonic()
        moments = [due]
        ripe = self._bench.backoff.next_due()
        if ripe is not None:
            moments.append(ripe)
        left = min(moments) - now
        if self._calendar is not None:
            # The wall clock may be set at any time, so it is looked at now and then.
            left = min(left, 1.0)
        return left

    async def _follow(self) -> None:
        """Takes every change of the source for a reason to look."""
        async with aclosing(self.in_force.changes()) as words:
            async for word in words:
                if await self.in_force.read():
                    self._triggers.add(word)
                self._show()

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed

    async def round(self, asked: Asked, *, strict: bool = False) -> bool:
        """Starts one pass; false where none could begin. With `strict` what stands in the way is raised."""
        self.begun = self._clocks.monotonic()
        if asked.hosts is None or not self.in_force.snapshot:
            await self.in_force.read()
        snapshot = self.in_force.snapshot
        begun = self._clocks.now()
        if snapshot is None:
            self._not_begun(begun, asked, "there are no manifests that could be in force")
            return False
        try:
            await self._exclusive.take()
        except LockError as error:
            if strict:
                raise
            self._not_begun(begun, asked, str(error))
            return False
        await self._begin(snapshot, asked, begun)
        return True

    async def _begin(self, snapshot: Snapshot, asked: Asked, begun: datetime) -> None:
        bench = self._bench
        if bench.memory.refresh():
            bench.calm.clear()
        work = self._work(snapshot)
        self.desired = dict(work.desired.hosts)
        for gone in self._board.hosts.keys() - work.desired.hosts.keys():
            self._board.drop_host(gone)
            self._log.host_gone(gone)
            bench.attempts.drop_host(gone)
            bench.backoff.drop(list(bench.backoff.of(gone)))
        hosts = [
            host for name, host in sorted(work.desired.hosts.items()) if asked.hosts is None or name in asked.hosts
        ]
        number = self._history.begin(begun, asked.triggers, snapshot.revision, dry_run=self._settings.dry_run)
        resources = AsyncExitStack()
        ask = await resources.enter_async_context(publishers(work.desired, self._settings))
        round_ = Round(number, work, before_asking(work), ask, asked.at_once)
        names = {host.host.name for host in hosts}
        this = _Pass(number, begun, self.begun, asked.triggers, snapshot.revision, round_, resources, set(names))
        self._passes[number] = this
        self._counters.pass_begun()
        for host in hosts:
            name = host.host.name
            if name in self._units:
                former = self._again.get(name)
                if former is not None:
                    self._leave(former, Done(name, None))
                self._again[name] = this
            else:
                self._start(host, this)
        if not hosts:
            await self._end(this)
        self._show()

    def _work(self, snapshot: Snapshot) -> Pass:
        """What is desired now: the manifests, less what somebody suspended since."""
        suspended = self._suspensions.all(self._clocks.now())
        self._suspended = frozenset(suspended)
        if self._worked is None or self._worked[:2] != (snapshot, suspended):
            # Hosts for which nothing changed have to stay the same objects, by which calm ones are known.
            self._worked = (snapshot, suspended, with_suspensions(snapshot.desired, suspended))
        desired = self._worked[2]
        pushing = any(to_push(host) for host in desired.hosts.values())
        self._bench.keeps_seen = pushing
        return Pass(
            desired,
            snapshot.fingerprint,
            self._settings,
            sources=snapshot.sources,
            locked=snapshot.locked,
            self_name=self._settings.self_name,
            apart=dict(self._bench.seen) if pushing else {},
        )

    def _start(self, host: HostDesired, this: _Pass) -> None:
        name = host.host.name
        self._bench.backoff.begin(name)

        async def unit() -> None:
            done = Done(name, None)
            try:
                if self._stopping.is_set():
                    this.cut = True
                else:
                    done = await work_on(host, this.round, self._bench)
            except StateError as error:
                # What is done and cannot be recorded could be forgotten: nothing more is begun anywhere.
                self._fail(error)
            except Exception as error:  # a fault of ours, which must not go by unseen
                self._fail(error)
            finally:
                self._units.pop(name, None)
                self._counters.host_left(name)
            await self._left(done, this)

        self._units[name] = asyncio.create_task(unit(), name=f"{name} in pass {this.number}")

    async def _left(self, done: Done, this: _Pass) -> None:
        name = done.host
        self._leave(this, done)
        newer = self._again.pop(name, None)
        if newer is not None:
            host = newer.round.work.desired.hosts.get(name)
            if host is None or self._stopping.is_set():
                newer.cut = newer.cut or self._stopping.is_set()
                self._leave(newer, Done(name, None))
            else:
                self._start(host, newer)
        for each in list(self._passes.values()):
            if not each.left:
                await self._end(each)
        if not self._units:
            await self._release()
        # What failed may be due earlier than anything else.
        self._triggers.poke()

    def _leave(self, this: _Pass, done: Done) -> None:
        this.left.discard(done.host)
        if done.plan is not None or done.report is not None or done.observation is not None:
            this.done.append(done)

    def _fail(self, error: Exception) -> None:
        self._failed = self._failed or error
        self.stop()

    async def _end(self, this: _Pass) -> None:
        if self._passes.pop(this.number, None) is None:
            return
        await this.resources.aclose()
        self.last = tuple(sorted(this.done, key=lambda done: done.host))
        judged = judge(self.last, stopped=self._stopping.is_set(), cut=this.cut)
        ended = self._clocks.now()
        record = PassStatus(
            this.number, this.begun, ended, this.triggers, this.revision, judged.outcome, judged.done, judged.failed,
            judged.message,
        )  # fmt: skip
        document = document_of(self.last) if judged.outcome is not Outcome.UNCHANGED else None
        try:
            self._history.end(
                this.number, ended, str(judged.outcome), judged.done, judged.failed, judged.message, document
            )
            self._history.keep(self._settings.history_keep)
        except StateError as error:
            self._fail(error)
        self._counters.pass_ended(judged.outcome, self._clocks.monotonic() - this.since)
        if judged.complete:
            self._last_success = ended
        shrunken = [done.plan for done in self.last if done.plan is not None]
        self._refusals = tuple(
            dict.fromkeys(told(refusal) for plan in shrunken for refusal in plan.refused if refusal.host is None)
        )
        self._log.pass_finished(record, self._board.hosts.values())
        self._log.refused(self._refusals)
        if this.round.work.desired is not self._settled:
            # What is kept from pass to pass is a million values in all: looking through them for garbage again and
            # again would hold up the loop for half a second each time.
            self._settled = this.round.work.desired
            gc.freeze()
        self._show()
        self.passed()

    def _not_begun(self, begun: datetime, asked: Asked, message: str) -> None:
        number = self._history.begin(begun, asked.triggers, "", dry_run=self._settings.dry_run)
        self._history.end(number, self._clocks.now(), str(Outcome.NOT_BEGUN), 0, 0, message, None)
        self._counters.pass_ended(Outcome.NOT_BEGUN, 0.0)
        self._show()

    async def _release(self) -> None:
        if not self._units and not self._passes:
            await self._exclusive.release()

    def enough(self, host: HostName, work: Pass) -> str | None:
        """Why no further step of a host is to be begun: what it works by is no longer what is wanted."""
        if host in self._suspended and work.desired.hosts[host].host.suspended is None:
            return "the host was suspended meanwhile"
        newest = self.in_force.snapshot
        if newest is not None and newest.fingerprint != work.fingerprint:
            wanted = newest.desired.hosts.get(host)
            if (
                wanted is None
                or wanted.items != work.desired.hosts[host].items
                or wanted.absent != work.desired.hosts[host].absent
            ):
                return NEWER
        return None

    def _show(self) -> None:
        """Brings the board up to date, hosts aside."""
        now = self._clocks.now()
        fleet = self._board.fleet
        self._board.put_fleet(
            replace(
                fleet,
                at=now,
                source=self.in_force.status,
                passes=tuple(self.history(_SHOWN)),
                last_success=self._last_success,
                refusals=self._refusals,
                notes=self._notes(),
            )
        )

    def _notes(self) -> tuple[str, ...]:
        bench = self._bench
        kept = (bench.memory, bench.attempts, self._history, self._suspensions, self.in_force.good)
        return (*self.in_force.notes, *(note for each in kept for note in each.notes))


def _shown(record: PassRecord) -> PassStatus:
    return PassStatus(
        record.number,
        record.begun,
        record.ended,
        record.triggers,
        record.revision,
        Outcome(record.outcome),
        record.done,
        record.failed,
        record.message,
    )
