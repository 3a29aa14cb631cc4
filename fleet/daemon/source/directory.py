"""Manifests and inventory in files and folders of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from fleet.daemon.source.reading import Snapshot, Told, read
from fleet.daemon.source.steady import Clock, Steady
from fleet.daemon.source.watching import watched
from fleet.foreign import clean
from fleet.settings import Settings


class Directory:
    """Absolute paths of files and folders, as `-f` and `-i` take them."""

    def __init__(
        self,
        settings: Settings,
        manifests: tuple[str, ...],
        inventory: tuple[str, ...] = (),
        *,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._told = Told(manifests, inventory)
        named = [settings.lock_file] if settings.lock_file else []
        self._steady = Steady((*manifests, *inventory), settings.settle, clock or Clock(), named=named)
        self._turn = asyncio.Lock()
        self._found: Snapshot | None = None
        """What was read last, if it was good."""
        self._unwatched = ""

    @property
    def what(self) -> str:
        """The paths."""
        manifests, inventory = (", ".join(map(clean, paths)) for paths in (self._told.manifests, self._told.inventory))
        return f"{manifests} (inventory: {inventory})" if inventory else manifests

    async def look(self) -> Snapshot:
        """See `Source.look`."""
        async with self._turn:
            found, self._found = self._found, None
            if found is None or await self._steady.moved():
                # Else every file is the one that it was, by place, size and both times: nothing else would be read.
                found = await self._steady.read(partial(read, self._settings, self._told))
            self._found = found
        return replace(found, notes=(*found.notes, self._unwatched)) if self._unwatched else found

    async def changes(self) -> AsyncGenerator[str, None]:
        """See `Source.changes`."""
        paths = (*self._told.manifests, *self._told.inventory)
        async with aclosing(watched(paths, self._settings.settle, self._say)) as told:
            async for _ in told:
                if await self._steady.moved():
                    yield "files"

    def moved(self) -> None:
        """Pushes are none of its business."""

    def concerns(self, ref: str) -> bool:
        """Never."""
        return False

    def _say(self, why: str) -> None:
        self._unwatched = why
