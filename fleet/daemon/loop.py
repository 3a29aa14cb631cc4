"""When passes begin, and what else is asked of a daemon at work: time, files, repositories, people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fleet.daemon.done import Done
from fleet.daemon.exclusive import Exclusive
from fleet.daemon.following import Following
from fleet.daemon.inforce import InForce
from fleet.daemon.passes import Freed, Passes
from fleet.daemon.schedule import Calendar, Heartbeat
from fleet.daemon.status import Condition, Outcome, PassStatus
from fleet.daemon.triggers import CALENDAR, INTERVAL, REQUEST, RETRY, SIGNAL, SOURCE, WOKE, Asked, Triggers
from fleet.daemon.unit import Bench
from fleet.errors import ExitCode, InputError, LockError
from fleet.manifest.item import HostDesired
from fleet.names import HostName
from fleet.reconcile.run import DEFAULT_NAME
from fleet.render.history import pass_document
from fleet.settings import Settings
from fleet.state.history import History, PassRecord
from fleet.state.suspensions import Suspensions

_SHOWN = 20
"""Passes that the board has at hand; the history has the rest."""
_AGAIN = 10.0
"""Seconds until the next try where another run has the lock, at most."""
_UNNAMED = (
    "the fleet has no `name`: give it one in the inventory, so that a `fleet apply` in which somebody accepts this is"
    " known to be about the same"
)


class Loop:
    """The daemon's heart. Every method belongs into its event loop; `run` or `once` is called, and once."""

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
    ) -> None:
        self._settings = settings
        self.in_force = in_force
        self._bench = bench
        self._board = bench.board
        self._history = history
        self._suspensions = suspensions
        self._clocks = bench.clocks
        self._heartbeat = heartbeat
        self._calendar = calendar
        self._triggers = Triggers()
        self._stopping = asyncio.Event()
        self._passes = Passes(
            settings,
            bench,
            history,
            suspensions,
            exclusive,
            lambda: in_force.snapshot,
            freed=self._freed,
            passed=self._passed,
        )
        in_force.late = lambda: self._triggers.add(SOURCE)
        self._not_begun = ""
        """Why no pass could begin the last time, if so: told once."""
        self.passed: list[Callable[[], None]] = []
        """Are told of the end of each pass."""
        self.code: ExitCode | None = None
        """Why it ends, once it was told to."""
        self.begun = self._clocks.monotonic()
        """When the last round began."""

    # Asked for by people and hooks.

    def reconcile(self, trigger: str, hosts: Sequence[HostName] = ()) -> None:
        """A pass soon, over these hosts or all; what a person named waits for nothing."""
        wanted = frozenset(hosts) or frozenset(self._board.hosts)
        at_once = wanted if trigger in {REQUEST, SIGNAL} else frozenset()
        self._triggers.add(trigger, hosts=hosts or None, at_once=at_once)

    def source_moved(self, ref: str | None) -> None:
        if ref is None or self.in_force.concerns(ref):
            self.in_force.moved()

    def suspend(self, host: HostName, until: datetime | None, reason: str) -> None:
        """Raises `KeyError` and `StateError`."""
        if host not in self._board.hosts:
            raise KeyError(host)
        self._suspensions.suspend(host, self._clocks.now(), until, reason)
        self._passes.suspended(host)
        self._triggers.add(REQUEST, hosts=[host], at_once=[host])

    def resume(self, host: HostName) -> None:
        """Raises `KeyError`, `ValueError` where the inventory suspends it, and `StateError`."""
        if host not in self._board.hosts:
            raise KeyError(host)
        if not self._suspensions.resume(host) and self._board.hosts[host].condition is Condition.SUSPENDED:
            raise ValueError(f"`{host}` is suspended by the inventory, and by nobody else")
        self._triggers.add(REQUEST, hosts=[host], at_once=[host])

    def history(self, limit: int, before: int | None = None) -> Sequence[PassStatus]:
        return [_shown(record) for record in self._history.list(limit, before)]

    def pass_document(self, number: int) -> dict[str, Any] | None:
        found = self._history.one(number)
        return None if found is None else pass_document(self._board.fleet.name, *found)

    @property
    def stopped(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    @property
    def following(self) -> Mapping[HostName, Following]:
        """What the steps of hosts are at."""
        return self._bench.following

    @property
    def desired(self) -> Mapping[HostName, HostDesired]:
        """What the newest pass wants of each host."""
        return self._passes.desired

    @property
    def last(self) -> tuple[Done, ...]:
        """What came of the hosts in the pass that ended last."""
        return self._passes.last

    async def reload(self) -> None:
        """Reads the source anew and wants a pass over all hosts, which waits for nothing."""
        self.in_force.moved()
        await self.in_force.read()
        self._show()
        self.reconcile(SIGNAL)

    def woke(self) -> None:
        """The machine slept: all that was known of hosts is old, and what was waited for is not waited for any longer."""
        self._bench.calm.clear()
        self._triggers.add(WOKE, at_once=self._board.hosts)

    def stop(self, code: ExitCode = ExitCode.TERMINATED) -> None:
        """Ends `run`: nothing new is begun, what is at work gets its time of grace."""
        self.code = self.code or code
        self._stopping.set()
        self._triggers.poke()
        self._passes.stop(code)

    async def run(self, first: str) -> None:
        """Passes until `stop`, the first one at once. Raises `StateError` where nothing can be recorded any more."""
        self._triggers.add(first)
        due = self._plan_next(self._heartbeat.after(self._clocks.monotonic()))
        async with asyncio.TaskGroup() as group:
            followed = group.create_task(self._follow())
            try:
                while not self._stopping.is_set() and self._passes.failed is None:
                    if await self._triggers.wait(self._until(due)):
                        # Whoever asks in the same moment is served by the same pass.
                        await asyncio.sleep(0)
                    await self._passes.release()
                    now = self._clocks.monotonic()
                    asked = self._due(now, due)
                    if asked is None or self._stopping.is_set():
                        continue
                    if not await self._round(asked):
                        self._triggers.put_back(asked)
                        due = self._plan_next(now + min(_AGAIN, self._settings.interval))
                    elif asked.hosts is None:
                        due = self._plan_next(self._heartbeat.after(now))
            finally:
                followed.cancel()
                await self._passes.finish()
        self._raise()

    async def once(self, trigger: str) -> tuple[Done, ...]:
        """One pass over all hosts, to its end, by manifests that were read just before; it waits for nothing. Raises
        `InputError` for wrong ones, `LockError` and `StateError`.
        """
        if isinstance(self.in_force.fault, InputError):
            raise self.in_force.fault
        snapshot = self.in_force.snapshot
        if snapshot is not None:
            asked = Asked((trigger,), at_once=frozenset(snapshot.desired.hosts))
            await self._passes.begin(snapshot, asked, self._clocks.now())
        await self._passes.finish()
        self._raise()
        return self.last

    def _due(self, now: float, due: float) -> Asked | None:
        """What a pass is to be for at this moment, if it is to be."""
        if now >= due:
            self._triggers.add(INTERVAL)
        if self._calendar is not None and self._calendar.due(self._clocks.now()):
            self._triggers.add(CALENDAR)
        asked = self._triggers.take()
        if asked.triggers:
            return asked
        ripe = (self._bench.backoff.due_hosts() & self._board.hosts.keys()) - self._passes.busy
        return Asked((RETRY,), frozenset(ripe)) if ripe else None

    def _plan_next(self, due: float) -> float:
        """Tells when the next pass is due by itself, and gives it back."""
        left = timedelta(seconds=max(0.0, due - self._clocks.monotonic()))
        self._board.put_fleet(replace(self._board.fleet, next_pass=self._clocks.now() + left))
        return due

    def _until(self, due: float) -> float:
        """Seconds until something is due by itself."""
        moments = [due]
        ripe = self._bench.backoff.next_due()
        if ripe is not None:
            moments.append(ripe)
        left = min(moments) - self._clocks.monotonic()
        # The wall clock may be set at any time, so it is looked at now and then.
        return min(left, 1.0) if self._calendar is not None else left

    async def _follow(self) -> None:
        """Takes every change of the source for a reason to look."""
        async with aclosing(self.in_force.changes()) as words:
            async for word in words:
                if await self.in_force.read():
                    self._triggers.add(word)
                self._show()

    async def _round(self, asked: Asked) -> bool:
        """Starts one pass; false where none could begin."""
        self.begun = self._clocks.monotonic()
        begun = self._clocks.now()
        if asked.hosts is None or self.in_force.snapshot is None:
            await self._read()
        snapshot = self.in_force.snapshot
        if self._stopping.is_set():
            return True
        if snapshot is None:
            self._tell_not_begun(begun, asked, "there are no manifests that could be in force")
            return False
        try:
            await self._passes.begin(snapshot, asked, begun)
        except LockError as error:
            self._tell_not_begun(begun, asked, str(error))
            return False
        self._not_begun = ""
        self._show()
        return True

    async def _read(self) -> None:
        """Reads the source, but no longer than until the end was asked for."""
        reading = asyncio.ensure_future(self.in_force.read())
        ended = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if reading.done():
            reading.result()

    def _tell_not_begun(self, begun: datetime, asked: Asked, message: str) -> None:
        """Once for as long as it lasts, or the history would soon hold nothing else."""
        if message.partition("(")[0] != self._not_begun:
            self._not_begun = message.partition("(")[0]
            number = self._history.begin(begun, asked.triggers, "", dry_run=self._settings.dry_run)
            self._history.end(number, self._clocks.now(), str(Outcome.NOT_BEGUN), 0, 0, message, None)
            self._history.keep(self._settings.history_keep)
        self._bench.counters.pass_ended(Outcome.NOT_BEGUN, 0.0)
        self._show()

    def _freed(self, freed: Freed | None) -> None:
        if freed is not None and not self._stopping.is_set():
            self._triggers.add(*freed.triggers, hosts=[freed.host], at_once=[freed.host] if freed.at_once else [])
        # What failed may be due earlier than anything else.
        self._triggers.poke()

    def _passed(self) -> None:
        self._show()
        for tell in self.passed:
            tell()

    def _raise(self) -> None:
        if self._passes.failed is not None:
            raise self._passes.failed

    def _show(self) -> None:
        """Brings the board up to date, hosts aside."""
        refusals = self._passes.refusals
        if refusals and self._board.fleet.name == DEFAULT_NAME:
            refusals = (*refusals, _UNNAMED)
        kept = (self._bench.memory, self._bench.attempts, self._history, self._suspensions, self.in_force.good)
        self._board.put_fleet(
            replace(
                self._board.fleet,
                at=self._clocks.now(),
                source=self.in_force.status,
                passes=tuple(self.history(_SHOWN)),
                last_success=self._passes.last_success,
                refusals=refusals,
                notes=(*self.in_force.notes, *(note for each in kept for note in each.notes)),
            )
        )


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
