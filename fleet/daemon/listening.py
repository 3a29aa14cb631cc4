"""The page, status and metrics of a daemon at work: where they are served, to whom, and made ready after each pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from fleet.daemon.hooks import verify
from fleet.daemon.listener.access import Access
from fleet.daemon.listener.application import Application
from fleet.daemon.listener.serving import serving
from fleet.daemon.metrics import exposed
from fleet.daemon.secret import read_secret
from fleet.daemon.starting import Running
from fleet.errors import FleetError
from fleet.foreign import clean
from fleet.settings import Settings
from fleet.state.folder import socket_path


@asynccontextmanager
async def listening(settings: Settings, running: Running) -> AsyncIterator[None]:
    """The page, status and metrics by TCP, and all of that for `fleet` itself by the Unix socket."""

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
