"""The daemon from start to stop, under signals."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

from fleet.daemon.backoff import Clocks
from fleet.daemon.beside import look_at_secrets, measure, pulse, tell, words, write_metrics, write_metrics_always
from fleet.daemon.ended import code_of
from fleet.daemon.logs import Log
from fleet.daemon.notify import Notifier
from fleet.daemon.sleeping import mind
from fleet.daemon.starting import CODES, EndedError, Running, started
from fleet.daemon.triggers import START
from fleet.daemon.watchdog import feed
from fleet.errors import ExitCode
from fleet.quantities import share
from fleet.settings import Settings

_BEYOND_GRACE = 15.0
"""Seconds that an end may take besides."""


async def serve(
    settings: Settings, log: Log, environment: Mapping[str, str], version: str, clocks: Clocks | None = None
) -> int:
    """Runs until a signal. Raises `InputError` for manifests that were never good, `LockError` where another daemon
    has this fleet, and `StateError`.
    """
    from fleet.daemon.listening import listening  # noqa: PLC0415  # a pass by itself needs none of this

    notifier = Notifier(environment)
    try:
        async with AsyncExitStack() as stack:
            try:
                running = await stack.enter_async_context(started(settings, log, notifier, version, clocks))
            except EndedError:
                return ExitCode.AS_DESIRED
            await stack.enter_async_context(listening(settings, running))
            _on_signals(running, settings)
            notifier.ready(words(running.board))
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(running.probe.run()),
                    group.create_task(feed(notifier, lambda: pulse(running, settings), time.monotonic, asyncio.sleep)),
                    group.create_task(tell(running)),
                    group.create_task(mind(running.clocks.asleep, asyncio.sleep, running.loop.woke)),
                    group.create_task(measure(running)),
                    group.create_task(look_at_secrets(running, settings)),
                    group.create_task(write_metrics_always(running, settings)),
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
    except EndedError as ended:
        return ended.code


async def _once(settings: Settings, log: Log, version: str) -> int:
    async with started(settings, log, Notifier({}), version, patient=False) as running:
        loop = asyncio.get_running_loop()
        for number, code in CODES.items():
            loop.add_signal_handler(number, running.loop.stop, code)
        done = await running.loop.once(START)
        await write_metrics(running, settings)
        if running.loop.code is not None:
            return running.loop.code
        if running.loop.in_force.fault is not None:
            raise running.loop.in_force.fault
        return code_of(done, share(settings.allow_unreachable, len(running.board.hosts)))


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
                running.notifier.ready(words(running.board))

    reloads: set[asyncio.Task[None]] = set()

    def begin() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number, code in CODES.items():
        loop.add_signal_handler(number, end, code)
    loop.add_signal_handler(signal.SIGHUP, begin)
