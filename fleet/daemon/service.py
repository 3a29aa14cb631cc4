"""The daemon from start to stop: what it holds for its whole life, signals, the word to the service manager."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.daemon.backoff import BackOff, Clocks
from fleet.daemon.board import Board
from fleet.daemon.counters import Counters
from fleet.daemon.ended import code_of
from fleet.daemon.exclusive import Exclusive
from fleet.daemon.inforce import InForce
from fleet.daemon.logs import Log, PassLog
from fleet.daemon.loop import Loop
from fleet.daemon.notify import Notifier
from fleet.daemon.schedule import Calendar, Heartbeat
from fleet.daemon.secret import read_secret
from fleet.daemon.source.choosing import source_of
from fleet.daemon.status import WORST, Condition, FleetStatus, SourceState
from fleet.daemon.triggers import START
from fleet.daemon.unit import Bench
from fleet.daemon.watchdog import InFlight, LagProbe, Pulse, feed
from fleet.errors import ExitCode, FleetError, InputError, LockError
from fleet.foreign import clean
from fleet.quantities import share
from fleet.reconcile.steps.uploads import Uploads
from fleet.settings import Settings
from fleet.state.attempts import Attempts
from fleet.state.digests import Digests
from fleet.state.folder import socket_path
from fleet.state.good import LastGood
from fleet.state.history import History
from fleet.state.lock import RunLock
from fleet.state.memory import Memory
from fleet.state.suspensions import Suspensions

if TYPE_CHECKING:
    from fleet.daemon.listener.application import Application

_SLOW_LOOKS = 16
_AGAIN = 5.0
"""Seconds between two looks at a source that never was good."""
_BEYOND_GRACE = 15.0
_SETTLED = 30.0
"""Seconds after which a daemon has something to look at."""
_OVERDUE = 60.0
"""Seconds beyond the longest silence that settings allow, after which a step hangs."""


_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class _EndedError(Exception):
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
    reloaded: list[Callable[[], None]] = field(default_factory=list)
    """What else is read anew on SIGHUP."""


async def serve(
    settings: Settings, log: Log, environment: Mapping[str, str], version: str, clocks: Clocks | None = None
) -> int:
    """Runs until a signal. Raises `InputError` for manifests that were never good, `LockError` where another daemon
    has this fleet, and `StateError`.
    """
    notifier = Notifier(environment)
    try:
        async with AsyncExitStack() as stack:
            try:
                running = await stack.enter_async_context(_running(settings, log, notifier, version, clocks))
            except _EndedError:
                return ExitCode.AS_DESIRED
            await stack.enter_async_context(_listening(settings, running))
            _on_signals(running, settings)
            notifier.ready(_words(running.board))
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(running.probe.run()),
                    group.create_task(feed(notifier, lambda: _pulse(running, settings), time.monotonic, asyncio.sleep)),
                    group.create_task(_tell(running)),
                    group.create_task(_measure(running)),
                    group.create_task(_look_at_secrets(running, settings)),
                    group.create_task(_write_metrics(running, settings)),
                ]
                try:
                    await running.loop.run(START)
                finally:
                    notifier.stopping("ending")
                    for task in beside:
                        task.cancel()
        return ExitCode.AS_DESIRED
    finally:
        notifier.close()


async def once(settings: Settings, log: Log, version: str) -> int:
    """One pass over all hosts. The exit code is that of `fleet apply`; raises as `serve`, and `LockError`."""
    try:
        return await _once(settings, log, version)
    except _EndedError as ended:
        return ended.code


async def _once(settings: Settings, log: Log, version: str) -> int:
    async with _running(settings, log, Notifier({}), version, patient=False) as running:
        loop = asyncio.get_running_loop()
        for number, code in _CODES.items():
            loop.add_signal_handler(number, running.loop.stop, code)
        done = await running.loop.once(START)
        await _write_metrics_once(running, settings)
        if running.loop.code is not None:
            return running.loop.code
        if running.loop.in_force.fault is not None:
            raise running.loop.in_force.fault
        return code_of(done, share(settings.allow_unreachable, len(running.board.hosts)))


@asynccontextmanager
async def _running(
    settings: Settings,
    log: Log,
    notifier: Notifier,
    version: str,
    clocks: Clocks | None = None,
    *,
    patient: bool = True,
) -> AsyncIterator[Running]:
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
    started = clocks.now()
    board = Board(
        FleetStatus(name, started, started, version, in_force.status, settings.interval, None, dry_run=settings.dry_run)
    )
    board.on_change = passes.host_changed
    with (
        _only_one(settings, name),
        Memory(settings.state_dir, name) as memory,
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
            asyncio.Semaphore((settings.parallelism + 1) // 2),
            asyncio.Semaphore(_SLOW_LOOKS),
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
        yield Running(loop, board, notifier, LagProbe(time.monotonic, asyncio.sleep), counters, log)


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

    for number, why in _CODES.items():
        loop.add_signal_handler(number, end, why)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    stopped = loop.create_task(ended.wait())
    alive = loop.create_task(_alive(notifier))
    try:
        while True:
            reading = loop.create_task(in_force.read())
            await asyncio.wait({reading, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if ended.is_set():
                raise _EndedError(code)
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
                raise _EndedError(code)
    finally:
        stopped.cancel()
        alive.cancel()


async def _alive(notifier: Notifier) -> None:
    """Signs of life while the first manifests are waited for: there is nothing that could be overdue."""
    while notifier.watchdog_interval is not None:
        notifier.watchdog()
        await asyncio.sleep(notifier.watchdog_interval)


@asynccontextmanager
async def _listening(settings: Settings, running: Running) -> AsyncIterator[None]:
    """The page, status and metrics by TCP, and all of that for `fleet` itself by the Unix socket."""
    from fleet.daemon.hooks import verify  # noqa: PLC0415  # a pass by itself needs none of this
    from fleet.daemon.listener.access import Access  # noqa: PLC0415
    from fleet.daemon.listener.application import Application  # noqa: PLC0415
    from fleet.daemon.listener.serving import serving  # noqa: PLC0415
    from fleet.daemon.metrics import exposed  # noqa: PLC0415

    def access() -> Access:
        secret = read_secret(settings.hook_secret_file, settings)
        return Access(
            read_secret(settings.token_file, settings),
            None if secret is None else (lambda headers, body: verify(headers, body, secret) is not None),
            tuple(name.strip() for name in (settings.listen_names or "").split(",") if name.strip()),
        )

    application = Application(
        running.board,
        running.loop,
        access(),
        metrics=lambda: exposed(running.board, running.counters, datetime.now(UTC)),
        now=lambda: datetime.now(UTC),
    )

    def again() -> None:
        """A secret that cannot be read any more leaves the former one in force (`reliability.md` K15)."""
        with suppress(FleetError):
            application.access = access()

    running.reloaded.append(again)
    tcp = None if settings.listen == "none" else settings.listen
    socket = socket_path(settings.state_dir, running.board.fleet.name)
    async with serving(application, tcp=tcp, unix=socket) as listening:
        where = None if tcp is None or listening.port is None else f"http://{tcp.rpartition(':')[0]}:{listening.port}/"
        running.log.logger.info(
            "daemon.started",
            fleet=clean(running.board.fleet.name),
            page=where,
            interval=settings.interval,
            **({"dry_run": True} if settings.dry_run else {}),
        )
        preparing = asyncio.create_task(_prepare(application, running))
        try:
            yield
        finally:
            preparing.cancel()


async def _prepare(application: Application, running: Running) -> None:
    """After each pass, what people will ask for; one that fails tells so when they ask."""
    passed = asyncio.Event()
    running.loop.passed.append(passed.set)
    while True:
        await passed.wait()
        passed.clear()
        with suppress(Exception):
            await application.prepare()


def _on_signals(running: Running, settings: Settings) -> None:
    """The first one ends in order, the second at once; SIGHUP reads everything anew."""
    loop = asyncio.get_running_loop()

    def end(code: ExitCode) -> None:
        if running.loop.stopped:
            os._exit(code)
        running.notifier.stopping("ending what is at work")
        running.notifier.extend_timeout(settings.grace + _BEYOND_GRACE)
        running.loop.stop(code)

    async def reload() -> None:
        if running.loop.stopped:
            return
        running.notifier.reloading()
        try:
            for again in running.reloaded:
                again()
            await running.loop.reload()
        finally:
            if not running.loop.stopped:
                running.notifier.ready(_words(running.board))

    reloads: set[asyncio.Task[None]] = set()

    def begin() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number, code in _CODES.items():
        loop.add_signal_handler(number, end, code)
    loop.add_signal_handler(signal.SIGHUP, begin)


def _pulse(running: Running, settings: Settings) -> Pulse:
    longest = max(
        settings.silence,
        settings.verify_silence,
        settings.create_silence,
        settings.load_timeout,
        settings.unload_wait,
    )
    return Pulse(
        running.probe.now(),
        running.loop.begun,
        settings.interval,
        tuple(
            InFlight(f"{flight.step.action} {flight.step.model} on {host}", flight.heard + longest + _OVERDUE)
            for host, following in running.loop.following.items()
            for flight in following.in_flight.values()
        ),
    )


def _words(board: Board) -> str:
    """How all stands, in a line."""
    if not board.hosts:
        return "starting"
    hosts = Counter(host.condition for host in board.hosts.values())
    parts = [f"{hosts[Condition.READY]} of {hosts.total()} hosts ready"]
    parts += [
        f"{hosts[condition]} {condition}"
        for condition in WORST
        if condition is not Condition.READY and hosts[condition]
    ]
    source = board.fleet.source
    if source.state is not SourceState.GOOD:
        parts.append(f"manifests {source.state}")
    if board.fleet.passes:
        newest = board.fleet.passes[0]
        parts.append(f"pass {newest.number} {newest.outcome}")
    return ", ".join(parts)


async def _measure(running: Running) -> None:
    while True:
        await asyncio.sleep(1.0)
        running.counters.lag(running.probe.now(), running.probe.p99())


async def _look_at_secrets(running: Running, settings: Settings) -> None:
    """For the metrics: when credentials changed last, and when certificates end."""
    from fleet.daemon import certificates, credentials  # noqa: PLC0415  # loads what a pass by itself has no use for

    while True:
        await asyncio.sleep(_SETTLED)
        hosts = [host.host for host in running.loop.desired.values()]
        running.counters.credentials_seen(await asyncio.to_thread(credentials.changed, settings, hosts))
        running.counters.certificates_seen(await certificates.ends(hosts, settings.connect_timeout))
        await asyncio.sleep(certificates.EVERY - _SETTLED)


async def _write_metrics(running: Running, settings: Settings) -> None:
    """After each pass, for a collector that reads files; one that cannot be written is told once."""
    if settings.metrics_file is None:
        return
    told = ""
    passed = asyncio.Event()
    running.loop.passed.append(passed.set)
    while True:
        await passed.wait()
        passed.clear()
        try:
            await _write_metrics_once(running, settings)
            told = ""
        except FleetError as error:
            if str(error) != told:
                told = str(error)
                running.log.logger.warning("metrics.not-written", message=told)


async def _write_metrics_once(running: Running, settings: Settings) -> None:
    """Raises `FleetError` where they cannot be written."""
    from fleet.daemon.metrics import exposed  # noqa: PLC0415  # loads what most daemons have no use for
    from fleet.daemon.textfile import write_textfile  # noqa: PLC0415

    if settings.metrics_file is not None:
        content = await exposed(running.board, running.counters, datetime.now(UTC))
        await asyncio.to_thread(write_textfile, Path(settings.metrics_file), content)


async def _tell(running: Running) -> None:
    """Keeps the line in `systemctl status` up to date."""
    version = -1
    while True:
        version = await running.board.changed(version)
        if running.loop.stopped:
            return
        running.notifier.status(_words(running.board))
        # The manager has no use for more than one a second.
        await asyncio.sleep(1.0)
