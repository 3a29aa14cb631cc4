"""Tells when files may have changed, once they are quiet, as far as the system tells of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from fleet.daemon.source.quiet import Quiet
from fleet.daemon.source.scanning import ignored
from fleet.foreign import clean

T = TypeVar("T")

_STEP = 100
"""Milliseconds between two looks at what the system told; the end of a watch takes as long."""
_TICK = 500
"""Milliseconds after which quiet is told, too."""
_AGAIN = 30.0
"""Seconds until watching is tried again where it was not possible."""
_MISSING = 1.0


async def watched(paths: Iterable[str], settle: float, say: Callable[[str], None]) -> AsyncGenerator[None, None]:
    """Comes each time that something may have changed at `paths` and was quiet for `settle` seconds since.

    `say` is told why watching is not possible, and the empty string once it is. Paths need not be there.
    """
    folders, parents = _parted(paths)
    watches = [
        _watch(some, settle, say, recursive=recursive)
        for some, recursive in ((folders, True), (parents, False))
        if some
    ]
    async with aclosing(merged(*watches)) as changes:
        async for change in changes:
            yield change


def _parted(paths: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Folders, and the folders of single files: a file that an editor replaces is another one for the system."""
    folders: dict[str, None] = {}
    parents: dict[str, None] = {}
    for path in paths:
        full = os.path.abspath(path)  # noqa: PTH100  # links stay
        if Path(full).suffix and not Path(full).is_dir():
            parents[str(Path(full).parent)] = None
        else:
            folders[full] = None
    return tuple(folders), tuple(parents)


async def _watch(
    paths: tuple[str, ...], settle: float, say: Callable[[str], None], *, recursive: bool
) -> AsyncGenerator[None, None]:
    while True:
        there = _identity(paths)
        try:
            async for _ in _until_replaced(paths, there, settle, recursive=recursive, begun=lambda: say("")):
                yield
        except FileNotFoundError:
            # Something is not there yet, or any more.
            while _identity(paths) == there:  # noqa: ASYNC110  # nobody tells of what is not there
                await asyncio.sleep(_MISSING)
            yield
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            say(f"Changes of files are not noticed at once, only by the next pass: {clean(why)}.")
            await asyncio.sleep(_AGAIN)
            yield


async def _until_replaced(
    paths: tuple[str, ...],
    there: tuple[object, ...],
    settle: float,
    *,
    recursive: bool,
    begun: Callable[[], None],
) -> AsyncGenerator[None, None]:
    """Ends when another folder took the place of one that is watched: the system goes on telling of the old one."""
    from watchfiles import awatch  # noqa: PLC0415  # loaded by who watches alone

    events = awatch(
        *paths,
        watch_filter=lambda _, path: not _hidden(path, paths),
        debounce=_TICK,
        step=_STEP,
        rust_timeout=_TICK if settle >= _TICK / 1000 else _STEP,
        yield_on_timeout=True,
        recursive=recursive,
    )
    quiet = Quiet(settle)
    async with aclosing(events) as told:
        begun()
        async for found in told:
            if quiet.due(time.monotonic(), changed=bool(found)):
                yield
            if _identity(paths) != there:
                yield
                return


def _hidden(path: str, roots: tuple[str, ...]) -> bool:
    """Whether some part of the path, below what is watched, is of a name that does not count."""
    root = max((root for root in roots if path.startswith(f"{root}/")), key=len, default="")
    return any(ignored(part) for part in path.removeprefix(f"{root}/").split("/"))


def _identity(paths: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(_inodes(paths))


def _inodes(paths: tuple[str, ...]) -> Iterator[object]:
    for path in paths:
        try:
            told = Path(path).stat()
        except OSError:
            yield None
        else:
            yield told.st_dev, told.st_ino


async def merged(*sources: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """What any of them gives, as it comes; ends only by being closed. Raises what one of them raises."""
    queue: asyncio.Queue[T | Exception] = asyncio.Queue(maxsize=1)

    async def carry(source: AsyncGenerator[T, None]) -> None:
        try:
            async for one in source:
                await queue.put(one)
        except Exception as error:
            await queue.put(error)
        finally:
            await source.aclose()

    tasks = [asyncio.create_task(carry(source)) for source in sources]
    try:
        while True:
            one = await queue.get()
            if isinstance(one, Exception):
                raise one
            yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
