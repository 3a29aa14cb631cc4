"""A bare, shallow copy of the followed part of a repository, in a private folder: fetched into, read from, never checked
out. What it holds can be had again at any time, so that a damaged copy is thrown away.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from fleet.daemon.source.git_access import TEMPORARY, config_text, environment, let_in
from fleet.daemon.source.git_address import Address
from fleet.daemon.source.source import SourceUnreachable
from fleet.daemon.source.unpacking import Entry
from fleet.program import Failed, run
from fleet.settings import Settings
from fleet.state.folder import private_folder

OLDEST = (2, 32)
"""The first release that can be told to read no configuration but ours."""

_DEPTH = 20
"""Commits that are kept, so that a push of some is told from one that rewrote history."""
_MOST_PACKS = 4
_MOST_LISTED = 32 << 20
_NOW, _BEFORE, _COMING = "refs/fleet/now", "refs/fleet/before", "refs/fleet/coming"
_HEX = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_VERSION = re.compile(rb"git version (\d+)\.(\d+)")


class Repository:
    """In `folder`, which is nobody else's. Not for two callers at a time."""

    def __init__(self, folder: Path, address: Address, settings: Settings) -> None:
        self.folder = folder
        self._bare = folder / "repository"
        self._config = folder / "config"
        self._address = address
        self._settings = settings
        self._git: str | None = None

    async def prepare(self) -> None:
        """Makes the folder, and sweeps what a killed run left. Raises `SourceUnreachable`, `StateError`, `OSError`."""
        private_folder(self.folder)
        for left in self.folder.glob(f"{TEMPORARY}*"):
            left.unlink(missing_ok=True)
        if self._bare.is_dir():
            # Whoever held these is gone: the folder is locked by this process.
            for left in (*self._bare.glob("*.lock"), *(self._bare / "refs").rglob("*.lock")):
                left.unlink(missing_ok=True)
        text = config_text(self._address)
        if not self._config.is_file() or self._config.read_text(encoding="utf-8") != text:
            self._config.write_text(text, encoding="utf-8")
        if self._git is None:
            self._git = await self._found()

    async def newest(self) -> tuple[str, str]:
        """The commit that the ref stands for in the remote repository, annotated tags followed, and the ref in full.

        Changes nothing. Raises `SourceUnreachable`.
        """
        wanted = [name for ref in self._address.refs for name in (ref, f"{ref}^{{}}")]
        try:
            told = await self._remotely("ls-remote", "--quiet", "--", self._address.url, *wanted)
        except Failed as error:
            raise self._unreachable(error) from error
        found: dict[str, str] = {}
        for line in told.decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            if _HEX.match(commit):
                found[name] = commit
        for ref in self._address.refs:
            if ref in found:
                return found.get(f"{ref}^{{}}", found[ref]), ref
        raise SourceUnreachable(
            f"the repository has no branch or tag of that name: {self._address}",
            hint="name another one by `git_ref`, or push it again",
        )

    async def fetch(self, newest: tuple[str, str]) -> str:
        """Has what `newest` gave, and tells the commit that came: another one where it moved meanwhile.

        Raises `SourceUnreachable`.
        """
        commit, ref = newest
        known = await self._commit(_NOW)
        if known == commit:
            return known
        try:
            came = await self._fetched(commit, ref)
        except Failed:
            # Damage here, or a moment's trouble there: the first is ended by beginning anew.
            await self.discard()
            try:
                came = await self._fetched(commit, ref)
            except Failed as error:
                raise self._unreachable(error) from error
        with suppress(Failed):
            await self._tidy()
        return came

    async def before(self) -> tuple[str, str] | None:
        """The commit that was followed before this one, and how the two are related: `ahead`, `older` or `apart`."""
        now, before = await self._commit(_NOW), await self._commit(_BEFORE)
        if now is None or before is None or now == before:
            return None
        if await self._is_ancestor(before, now):
            return before, "ahead"
        return before, "older" if await self._is_ancestor(now, before) else "apart"

    async def listing(self, commit: str) -> bytes:
        """What `fleet.daemon.source.unpacking.entries` reads, of the paths that are followed. Raises `Failed`."""
        paths = [] if "." in self._address.paths else ["--", *self._address.paths]
        return await self._locally("ls-tree", "-r", "-l", "-z", "--full-tree", commit, *paths, most=_MOST_LISTED)

    async def give_out(self, entries: Sequence[Entry], into: BinaryIO) -> None:
        """Writes the contents of all entries to the file. Raises `Failed`."""
        wanted = "".join(f"{entry.object}\n" for entry in entries)
        if wanted:
            await self._locally("cat-file", "--batch", stdin=wanted.encode(), into=into.fileno())

    async def verify(self, commit: str, options: Sequence[str], more: Mapping[str, str]) -> None:
        """Raises `Failed` unless `git verify-commit` accepts it, with these options before and variables besides."""
        await self._locally("verify-commit", commit, before=options, more=more)

    async def discard(self) -> None:
        """Throws the copy away."""
        await asyncio.to_thread(shutil.rmtree, self._bare, ignore_errors=True)

    async def _fetched(self, commit: str, ref: str) -> str:
        if not (self._bare / "HEAD").is_file():
            shutil.rmtree(self._bare, ignore_errors=True)
            kind = "sha256" if len(commit) == 64 else "sha1"
            await self._run(
                ["init", "--quiet", "--bare", "--template=", f"--object-format={kind}", "--", str(self._bare)],
                self._config,
            )
        await self._remotely(
            *("fetch", "--quiet", "--force", f"--depth={_DEPTH}", "--no-tags", "--no-recurse-submodules"),
            *("--no-auto-maintenance", "--no-write-fetch-head", "--no-show-forced-updates"),
            *("--", self._address.url, f"+{ref}:{_COMING}"),
        )
        came = (await self._locally("rev-parse", "--verify", "--quiet", f"{_COMING}^{{commit}}")).decode().strip()
        known = await self._commit(_NOW)
        moves = [f"update {_NOW} {came}"] + (
            [f"update {_BEFORE} {known}"] if known is not None and known != came else []
        )
        await self._locally("update-ref", "--stdin", stdin=("\n".join(moves) + "\n").encode())
        return came

    async def _commit(self, ref: str) -> str | None:
        if not self._bare.is_dir():
            return None
        try:
            return (await self._locally("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")).decode().strip()
        except Failed:
            return None

    async def _is_ancestor(self, one: str, other: str) -> bool:
        try:
            await self._locally("merge-base", "--is-ancestor", one, other)
        except Failed:
            return False
        return True

    async def _tidy(self) -> None:
        """Drops what no commit that is kept needs, every few fetches."""
        if len(list((self._bare / "objects" / "pack").glob("*.pack"))) > _MOST_PACKS:
            await self._locally("gc", "--quiet", "--prune=now")

    async def _found(self) -> str:
        """The path of a `git` that is new enough."""
        program = shutil.which("git")
        hint = f"install `git` {OLDEST[0]}.{OLDEST[1]} or later"
        if program is None:
            raise SourceUnreachable("there is no `git` program on the search path", hint=hint)
        self._git = program
        try:
            match = _VERSION.match(await self._run(["version"], self._config))
        except Failed as error:
            raise SourceUnreachable(f"`git` cannot be used: {error}", hint=hint) from error
        if match is None or (int(match[1]), int(match[2])) < OLDEST:
            raise SourceUnreachable("the `git` program is too old", hint=hint)
        return program

    async def _remotely(self, *arguments: str) -> bytes:
        with let_in(self.folder, self._address, self._settings) as config:
            where = [f"--git-dir={self._bare}"] if self._bare.is_dir() else []
            return await self._run([*where, *arguments], config)

    async def _locally(
        self,
        *arguments: str,
        stdin: bytes = b"",
        into: int | None = None,
        most: int = 1 << 20,
        before: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        where = [f"--git-dir={self._bare}", *before]
        return await self._run([*where, *arguments], self._config, stdin=stdin, into=into, most=most, more=more)

    async def _run(
        self,
        arguments: Sequence[str],
        config: Path,
        *,
        stdin: bytes = b"",
        into: int | None = None,
        most: int = 1 << 20,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        return await run(
            [self._git or "git", "--no-pager", *arguments],
            folder=self.folder,
            environment={**environment(self.folder, config, self._address, self._settings), **(more or {})},
            timeout=self._settings.git_timeout,
            stdin=stdin,
            into=into,
            most=most,
        )

    def _unreachable(self, error: Failed) -> SourceUnreachable:
        return SourceUnreachable(
            f"the repository cannot be had: {self._address}: {error}",
            hint="check `git_url`, the network and the credentials; it is tried again by itself",
        )


def spool(folder: Path) -> BinaryIO:
    """A file without a name, for contents on their way."""
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder))
