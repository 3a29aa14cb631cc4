"""Folders with the files of single commits: each is whole or not there, and the last two that were good stay."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from fleet.daemon.source.repository import Repository, spool
from fleet.daemon.source.unpacking import Entry, contents, entries, unpack

KEPT = 2
"""Steps that are at work may still read files of the one before."""
_BEING_MADE = "new-"
_NOTES = "notes.json"
_TREE = "tree"


class Exports:
    """Below `folder`, by commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unproven: set[str] = set()
        """Commits whose files were written by this process, and were never in force."""

    def sweep(self) -> None:
        """Removes what a killed run left half made. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for left in self._folder.glob(f"{_BEING_MADE}*"):
            shutil.rmtree(left, ignore_errors=True)

    async def of(self, repository: Repository, commit: str) -> tuple[Path, tuple[str, ...]]:
        """The files of a commit that is in the repository, and what is to be noted of them.

        Raises `InputError` for a commit that is refused, `Failed` and `Damaged` where the repository is not whole.
        """
        made = self._folder / commit
        if not (made / _NOTES).is_file():
            await self._make(repository, commit, made)
            self._unproven.add(commit)
        notes = json.loads((made / _NOTES).read_text(encoding="utf-8"))
        return made / _TREE, tuple(map(str, notes))

    async def _make(self, repository: Repository, commit: str, made: Path) -> None:
        found = await asyncio.to_thread(entries, await repository.listing(commit))
        new = Path(tempfile.mkdtemp(prefix=_BEING_MADE, dir=self._folder))
        try:
            with spool(self._folder) as batch:
                await repository.give_out(contents(found), batch)
                await asyncio.to_thread(_fill, new, made, found, batch)
        finally:
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)

    def good(self, commit: str) -> None:
        """It is in force now; older ones go."""
        self._unproven.discard(commit)
        os.utime(self._folder / commit)
        by_age = sorted(self._folder.iterdir(), key=lambda made: (made.name == commit, made.stat().st_mtime_ns))
        for old in by_age[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def broken(self, commit: str) -> None:
        """It does not come into force, so that it must not push out one that is. One that was in force before, which may
        be what a daemon goes on with after a restart, stays.
        """
        if commit in self._unproven:
            shutil.rmtree(self._folder / commit, ignore_errors=True)


def _fill(new: Path, made: Path, found: Sequence[Entry], batch: BinaryIO) -> None:
    batch.seek(0)
    (new / _TREE).mkdir(mode=0o700)
    notes = unpack(found, batch, new / _TREE)
    (new / _NOTES).write_text(json.dumps(notes), encoding="utf-8")
    shutil.rmtree(made, ignore_errors=True)
    new.rename(made)
