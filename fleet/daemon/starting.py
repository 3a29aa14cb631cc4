"""From settings to a daemon that could begin: whose fleet it is, what it holds for its whole life."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from fleet.daemon.backoff import BackOff, Clocks
from fleet.daemon.board import Board
from fleet.daemon.counters import Counters
from fleet.daemon.exclusive import Exclusive
from fleet.daemon.inforce import InForce
from fleet.daemon.logs import Log, PassLog
from fleet.daemon.loop import Loop
from fleet.daemon.notify import Notifier
from fleet.daemon.schedule import Calendar, Heartbeat
from fleet.daemon.source.choosing import source_of
from fleet.daemon.status import FleetStatus
from fleet.daemon.unit import Bench
from fleet.daemon.watchdog import LagProbe
from fleet.errors import ExitCode, InputError, LockError
from fleet.quantities import share
from fleet.reconcile.places import at_once
from fleet.reconcile.steps.uploads import Uploads
from fleet.settings import Settings
from fleet.state.attempts import Attempts
from fleet.state.digests import Digests
from fleet.state.good import LastGood
from fleet.state.history import History
from fleet.state.leases import Leases
from fleet.state.lock import RunLock
from fleet.state.memory import Memory
from fleet.state.suspensions import Suspensions

_SLOW_LOOKS = 16
"""Hosts that did not answer the last time and are looked at beside each other."""
_AGAIN = 5.0
"""Seconds between two looks at a source that never was good."""

CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class EndedError(Exception):
    """A signal came before there was anything to be kept."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon at work."""

    loop: Loop
    board: Board
    notifier: Notifier
    probe: LagProbe
    counters: Counters
    log: Log
    clocks: Clocks
    reloaded: list[Callable[[], None]] = field(default_factory=list)
    """What else is read anew on SIGHUP."""


@asynccontextmanager
async def started(
    settings: Settings,
    log: Log,
    notifier: Notifier,
    version: str,
    clocks: Clocks | None = None,
    *,
    patient: bool = True,
) -> AsyncIterator[Running]:
    """A daemon that could begin. Not `patient`, it does not wait for a source that cannot be had. Raises `InputError`,
    `EndedError`, `LockError`, `StateError`, and whatever keeps such a source from being had.
    """
    clocks = clocks or Clocks(time.monotonic, lambda: datetime.now(UTC))
    calendar = None if settings.calendar is None else Calendar(settings.calendar, settings.zone, clocks.now())
    passes = PassLog(log.logger)
    source = source_of(settings)
    # By where they come from, since the fleet's name is in what is read.
    kept = LastGood(settings.state_dir, f"source {sha256(source.what.encode()).hexdigest()[:16]}")
    in_force = InForce(source, kept, passes, clocks)
    in_force.restore()
    name = await _name(in_force, notifier, patient=patient)
    counters = Counters()
    log.tell_drops(counters.log_dropped)
    begun = clocks.now()
    board = Board(
        FleetStatus(name, begun, begun, version, in_force.status, settings.interval, None, dry_run=settings.dry_run)
    )
    board.on_change = passes.host_changed
    with (
        _only_one(settings, name),
        Memory(settings.state_dir, name) as memory,
        Leases(settings.state_dir, name) as leases,
    ):
        memory.remembered()
        attempts, history = Attempts(settings.state_dir, name), History(settings.state_dir, name)
        history.abandoned()
        bench = Bench(
            settings,
            memory,
            Uploads(settings.uploads, Digests(settings.state_dir)),
            attempts,
            BackOff(attempts.all(), settings, clocks),
            board,
            clocks,
            counters,
            passes,
            # Half of them: what all of them answer at once is worked through in one turn of the loop.
            asyncio.Semaphore((at_once(settings.parallelism) + 1) // 2),
            asyncio.Semaphore(at_once(_SLOW_LOOKS)),
            leases=leases,
        )
        loop = Loop(
            settings,
            in_force,
            bench,
            history,
            Suspensions(settings.state_dir, name),
            Exclusive(settings.state_dir, name),
            heartbeat=Heartbeat(settings.interval, share(settings.jitter, 100) / 100, random.random),
            calendar=calendar,
        )
        yield Running(loop, board, notifier, LagProbe(time.monotonic, asyncio.sleep), counters, log, clocks)


@contextmanager
def _only_one(settings: Settings, name: str) -> Iterator[None]:
    """One daemon for each fleet. Raises `LockError`."""
    with ExitStack() as held:
        try:
            held.enter_context(RunLock(settings.state_dir, f"{name}.daemon", settings.lock_timeout))
        except LockError as error:
            owner = str(error).partition(" (")[2].partition(")")[0]
            raise LockError(
                f"another daemon has the fleet `{name}`" + (f" ({owner})" if owner else ""),
                code=error.code,
                hint="end that one first, or speak to it: `fleet status`, `suspend`, `history`; other fleets have other names",
            ) from error
        yield


async def _name(in_force: InForce, notifier: Notifier, *, patient: bool) -> str:
    """The fleet's name. A source that cannot be had and never was good is waited for; one that is wrong is an error."""
    loop, ended, again = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    code = ExitCode.TERMINATED

    def end(why: ExitCode) -> None:
        nonlocal code
        code = why
        ended.set()

    for number, why in CODES.items():
        loop.add_signal_handler(number, end, why)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    stopped = loop.create_task(ended.wait())
    alive = loop.create_task(_alive(notifier))
    try:
        while True:
            reading = loop.create_task(in_force.read())
            await asyncio.wait({reading, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if ended.is_set():
                raise EndedError(code)
            await reading
            if in_force.snapshot is not None:
                return in_force.snapshot.desired.name
            if in_force.fault is not None and (isinstance(in_force.fault, InputError) or not patient):
                raise in_force.fault
            notifier.ready(f"waiting for {in_force.status.what}: {in_force.status.message}")
            again.clear()
            asked = loop.create_task(again.wait())
            await asyncio.wait({asked, stopped}, timeout=_AGAIN, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if ended.is_set():
                raise EndedError(code)
    finally:
        stopped.cancel()
        alive.cancel()


async def _alive(notifier: Notifier) -> None:
    """Signs of life while the first manifests are waited for: there is nothing that could be overdue."""
    while notifier.watchdog_interval is not None:
        notifier.watchdog()
        await asyncio.sleep(notifier.watchdog_interval)
