"""What a daemon does beside its passes: telling the service manager and collectors how it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from fleet.daemon.board import Board
from fleet.daemon.starting import Running
from fleet.daemon.status import WORST, Condition, SourceState
from fleet.daemon.watchdog import InFlight, Pulse
from fleet.errors import FleetError
from fleet.settings import Settings

_SETTLED = 30.0
"""Seconds after which a daemon has something to look at."""
_OVERDUE = 60.0
"""Seconds beyond the longest silence that settings allow, after which a step hangs."""


def words(board: Board) -> str:
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


def pulse(running: Running, settings: Settings) -> Pulse:
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


async def tell(running: Running) -> None:
    """Keeps the line in `systemctl status` up to date."""
    version = -1
    while True:
        version = await running.board.changed(version)
        if running.loop.stopped:
            return
        running.notifier.status(words(running.board))
        # The manager has no use for more than one a second.
        await asyncio.sleep(1.0)


async def measure(running: Running) -> None:
    """Hands the lateness of the loop over to the metrics."""
    while True:
        await asyncio.sleep(1.0)
        running.counters.lag(running.probe.now(), running.probe.p99())


async def look_at_secrets(running: Running, settings: Settings) -> None:
    """For the metrics: when credentials changed last, and when certificates end."""
    from fleet.daemon import certificates, credentials  # noqa: PLC0415  # loads what a pass by itself has no use for

    while True:
        await asyncio.sleep(_SETTLED)
        hosts = [host.host for host in running.loop.desired.values()]
        running.counters.credentials_seen(await asyncio.to_thread(credentials.changed, settings, hosts))
        found = await certificates.ends(hosts, settings.connect_timeout, settings.credentials_dir)
        running.counters.certificates_seen(found)
        await asyncio.sleep(certificates.EVERY - _SETTLED)


async def write_metrics_always(running: Running, settings: Settings) -> None:
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
            await write_metrics(running, settings)
            told = ""
        except FleetError as error:
            if str(error) != told:
                told = str(error)
                running.log.logger.warning("metrics.not-written", message=told)


async def write_metrics(running: Running, settings: Settings) -> None:
    """Raises `FleetError` where they cannot be written."""
    from fleet.daemon.metrics import exposed  # noqa: PLC0415  # loads what most daemons have no use for
    from fleet.daemon.textfile import write_textfile  # noqa: PLC0415

    if settings.metrics_file is not None:
        content = await exposed(running.board, running.counters, datetime.now(UTC))
        await asyncio.to_thread(write_textfile, Path(settings.metrics_file), content)
