"""Manifests in a Git repository, followed at one ref. What a pass reads is a commit, never a moving work tree."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from fleet.codes import Code
from fleet.daemon.source.exports import Exports
from fleet.daemon.source.git_address import Address
from fleet.daemon.source.reading import Snapshot, Told, read
from fleet.daemon.source.repository import Repository
from fleet.daemon.source.signatures import Signatures
from fleet.daemon.source.source import SourceUnreachable
from fleet.daemon.source.steady import Clock, Steady
from fleet.daemon.source.unpacking import Damaged
from fleet.daemon.source.watching import merged, watched
from fleet.errors import InputError
from fleet.foreign import clean
from fleet.program import Failed
from fleet.settings import Settings
from fleet.state.folder import private_folder

_BETWEEN_TRIES = 0.1
_SHORT = 12


class Git:
    """`inventory` are absolute paths of this machine; none where it is in the repository, or where there is none."""

    def __init__(
        self, settings: Settings, address: Address, inventory: tuple[str, ...] = (), *, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._address = address
        self._inventory = inventory
        self._clock = clock or Clock()
        folder = Path(settings.state_dir, "git", address.key)
        self._repository = Repository(folder, address, settings)
        self._exports = Exports(folder / "commits")
        self._signatures = None if settings.git_verify_file is None else Signatures(settings.git_verify_file)
        named = [path for path in (settings.lock_file, settings.git_verify_file) if path is not None]
        self._steady = Steady(inventory, settings.settle, self._clock, named=named)
        self._turn = asyncio.Lock()
        self._announced = asyncio.Event()
        self._seen: str | None = None
        self._unwatched = ""
        self._lost = False
        """Whether the repository could not be had the last time."""
        self._told_of: tuple[str, tuple[str, ...]] = ("", ())
        """A commit, and what is said of how the ref came to it."""

    @property
    def what(self) -> str:
        """Repository, ref and path."""
        inventory = ", ".join(map(clean, self._inventory)) or (self._address.inventory or "")
        return f"{self._address}" + (f" (inventory: {inventory})" if inventory else "")

    async def look(self) -> Snapshot:
        """See `Source.look`."""
        async with self._turn:
            try:
                async with self._alone():
                    return await self._look()
            except OSError as error:
                raise SourceUnreachable(
                    f"the copy of the repository cannot be kept: {error.strerror or error}: {self._repository.folder}",
                    hint="make room there, or name another folder by `state_dir`",
                ) from error

    async def _look(self) -> Snapshot:
        await self._repository.prepare()
        self._exports.sweep()
        self._seen = commit = await self._repository.fetch(await self._repository.newest())
        tree, notes = await self._files_of(commit)
        told = self._told(tree)
        sources = (f"{self._address.url} {self._address.ref} {self._address.path}", *self._inventory)
        try:
            self._check_paths(tree, commit)
            found = await self._steady.read(partial(read, self._settings, told, revision=commit, sources=sources))
        except InputError:
            await asyncio.to_thread(self._exports.broken, commit)
            raise
        await asyncio.to_thread(self._exports.good, commit)
        more = (*notes, *await self._since(commit), *([self._unwatched] if self._unwatched else []))
        return replace(found, notes=(*found.notes, *more))

    async def _files_of(self, commit: str) -> tuple[Path, tuple[str, ...]]:
        """Anew from the remote repository, once, where the copy turns out not to be whole."""
        again = False
        while True:
            try:
                if self._signatures is not None:
                    await self._signatures.check(self._repository, commit)
                return await self._exports.of(self._repository, commit)
            except (Failed, Damaged) as error:
                if again:
                    raise SourceUnreachable(
                        f"commit {commit[:_SHORT]} cannot be read: {error}", hint="the repository may be damaged"
                    ) from error
                again = True
                await self._repository.discard()
                came = await self._repository.fetch(await self._repository.newest())
                if came != commit:
                    raise SourceUnreachable("the repository moved while it was read") from error

    def _check_paths(self, tree: Path, commit: str) -> None:
        for path in self._address.paths:
            if not os.path.lexists(tree / path):
                raise InputError(
                    f"`{clean(path)}` is not in the repository at commit {commit[:_SHORT]}",
                    code=Code.MANIFEST_WRONG,
                    hint="name another path by `git_path` or `git_inventory`, or push it again",
                )

    def _told(self, tree: Path) -> Told:
        if self._address.inventory is not None:
            return Told((self._address.path,), (self._address.inventory,), str(tree), apart=True)
        return Told((self._address.path,), self._inventory, str(tree), apart=True)

    async def _since(self, commit: str) -> tuple[str, ...]:
        """What is to be said of how the ref came here from where it was before."""
        if self._told_of[0] != commit:
            self._told_of = (commit, await self._worked_out(commit))
        return self._told_of[1]

    async def _worked_out(self, commit: str) -> tuple[str, ...]:
        found = await self._repository.before()
        if found is None or found[1] == "ahead":
            return ()
        former, now, ref = found[0][:_SHORT], commit[:_SHORT], clean(self._address.ref)
        if found[1] == "older":
            return (f"`{ref}` went back: {now} is an older commit than {former}, which was followed before.",)
        return (f"`{ref}` was pushed by force: {now} does not descend from {former}, which was followed before.",)

    async def changes(self) -> AsyncGenerator[str, None]:
        """See `Source.changes`."""
        sources = [self._polled()]
        if self._inventory:
            sources.append(self._inventory_changes())
        async with aclosing(merged(*sources)) as words:
            async for word in words:
                yield word

    async def _polled(self) -> AsyncGenerator[str, None]:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.git_interval):
                    await self._announced.wait()
            self._announced.clear()
            was, self._lost = self._lost, False
            if await self._has_moved() or self._lost != was:
                # One that cannot be had any more, or again, is a reason to look too: whoever looks says so.
                yield "git"

    async def _has_moved(self) -> bool:
        """No where it cannot be told."""
        async with self._turn:
            try:
                async with self._alone():
                    await self._repository.prepare()
                    return (await self._repository.newest())[0] != self._seen
            except (SourceUnreachable, OSError):
                self._lost = True
                return False

    async def _inventory_changes(self) -> AsyncGenerator[str, None]:
        async with aclosing(watched(self._inventory, self._settings.settle, self._say)) as told:
            async for _ in told:
                if await self._steady.moved():
                    yield "files"

    def moved(self) -> None:
        """See `Source.moved`."""
        self._announced.set()

    def concerns(self, ref: str) -> bool:
        """Whether it is the one that is followed."""
        return ref in self._address.refs

    def _say(self, why: str) -> None:
        self._unwatched = why

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """No other process works in the folder meanwhile. Raises `SourceUnreachable` after `git_timeout`."""
        private_folder(self._repository.folder.parent)
        private_folder(self._repository.folder)
        with _opened(self._repository.folder) as descriptor:
            until = self._clock.monotonic() + self._settings.git_timeout
            while not _locked(descriptor):
                if self._clock.monotonic() >= until:
                    raise SourceUnreachable("another process has been reading the same repository for too long")
                await self._clock.sleep(_BETWEEN_TRIES)
            yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
