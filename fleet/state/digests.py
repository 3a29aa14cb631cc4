"""Digests that were worked out before: of files on this machine, and of image manifests in both their forms.

A cache for all fleets: what cannot be read is not known, what cannot be written is worked out again. It never fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from fleet.names import Digest
from fleet.state.damage import Damaged
from fleet.state.folder import StateError
from fleet.state.opened import Opened
from fleet.weights.local import Stamp

_MOST = 10_000
"""Of each kind; what was put in first goes first."""

_PATIENCE = 1.0
"""Seconds for another process's write: working a digest out again costs little more."""

_SECOND = 1_000_000_000
_TICK = 50_000_000
"""Nanoseconds in which a file may change twice under one time, where the file system keeps fractions of seconds."""


class Digests(Opened):
    """In the database of `folder`, read as a whole at the first question. Any thread may ask.

    A file that is damaged is left for what remembers to set aside.
    """

    def __init__(self, folder: str, most: int = _MOST) -> None:
        from fleet.state.database import Database  # noqa: PLC0415  # the library is loaded by what remembers alone

        self._database = Database(Path(folder), patience=_PATIENCE, durable=False, mending=False)
        self._most = most
        self._turn = threading.Lock()
        self._read = False
        self._files: dict[str, tuple[str, Digest]] = {}
        self._normalised: dict[Digest, Digest] = {}
        self._writable = True

    def get(self, stamp: Stamp) -> Digest | None:
        """Of the very version of a file; nothing where it is not known."""
        file, version = _told(stamp)
        with self._turn:
            self._read_once()
            found = self._files.get(file)
        return found[1] if found is not None and found[0] == version else None

    def put(self, stamp: Stamp, digest: Digest) -> None:
        """In place of any other version. `stamp` was taken before the file was read.

        A version that is younger than its file system's clock can tell is left out: it could change under its stamp.
        """
        coarse = stamp.mtime_ns % _SECOND == 0 and stamp.ctime_ns % _SECOND == 0
        if time.time_ns() - max(stamp.mtime_ns, stamp.ctime_ns) < (2 * _SECOND if coarse else _TICK):
            return
        file, version = _told(stamp)
        with self._turn:
            self._read_once()
            if self._files.get(file) != (version, digest):
                self._files[file] = (version, digest)
                self._write("digests", ("file", "version", "digest"), (file, version, digest.hex))

    def keep_forms(self, raw: Digest, normalised: Digest) -> None:
        """That hosts which wrote an image manifest of digest `raw` anew list it as `normalised` (`ollama-api.md` 4.2)."""
        with self._turn:
            self._read_once()
            if self._normalised.get(raw) != normalised:
                self._normalised[raw] = normalised
                self._write("forms", ("raw", "normalised"), (raw.hex, normalised.hex))

    def forms_of(self, digest: Digest) -> frozenset[Digest]:
        """All digests that stand for the same content as this one, itself included."""
        with self._turn:
            self._read_once()
            normalised = self._normalised.get(digest, digest)
            same = [raw for raw, listed in self._normalised.items() if listed == normalised]
        return frozenset((digest, normalised, *same))

    def _read_once(self) -> None:
        if self._read:
            return
        self._read = True
        with suppress(StateError, Damaged, ValueError), self._database.reading() as connection:
            if connection is None:
                return
            for *cells, seal in connection.execute("SELECT file, version, digest, seal FROM digests"):
                if seal == _seal(cells):
                    self._files[cells[0]] = (cells[1], Digest.parse(cells[2]))
            for *cells, seal in connection.execute("SELECT raw, normalised, seal FROM forms"):
                if seal == _seal(cells):
                    self._normalised[Digest.parse(cells[0])] = Digest.parse(cells[1])

    def _write(self, table: str, columns: tuple[str, ...], cells: tuple[str, ...]) -> None:
        """After one failure nothing more is tried: each may have taken its time."""
        if not self._writable:
            return
        places = ", ".join("?" * (len(cells) + 1))
        # Tables and columns are constants above; values go in as parameters.
        put = f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}, seal) VALUES ({places})"  # noqa: S608
        last = f"SELECT place FROM {table} ORDER BY place DESC LIMIT 1 OFFSET ?"  # noqa: S608
        try:
            with self._database.writing() as connection:
                connection.execute(put, (*cells, _seal(cells)))
                connection.execute(f"DELETE FROM {table} WHERE place <= ({last})", (self._most,))  # noqa: S608
        except (StateError, Damaged):
            self._writable = False


def _told(stamp: Stamp) -> tuple[str, str]:
    """Which file, and which version of it. As texts, since numbers of devices and inodes use all 64 bits."""
    return f"{stamp.device}:{stamp.inode}", f"{stamp.size}:{stamp.mtime_ns}:{stamp.ctime_ns}"


def _seal(cells: Sequence[object]) -> int:
    """Over the whole row, so that damage to any part is noticed."""
    return crc32(" ".join(map(str, cells)).encode())
