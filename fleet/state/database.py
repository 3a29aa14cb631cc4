"""The one file of all that fleet remembers on this machine: opened, proven to be ours, brought to the newest schema.

Readers hold no lock and change nothing: they work while another process writes, in a folder where nothing may be
written, and where nothing is. Writers set a file aside that is damaged or of another program, and begin a new one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from fleet.state.damage import Damaged, translated
from fleet.state.files import BESIDE, alone, dated, make_whole, set_aside, sweep
from fleet.state.folder import check_private, private_folder, unusable
from fleet.state.schema import STEPS, Step
from fleet.state.versions import bring_forward, transaction, version_of

FILE = "fleet.db"

_LARGEST_CELL = 16 << 20
"""Damage may claim any length; none of ours comes near this."""

_PRIVATE = 0o600


class Database:
    """One process's access to the file in `folder`; threads take turns. Nothing is opened before it is asked for.

    `patience` is how many seconds a writer waits for another one. With `durable` each write is on disk when it returns;
    else the last ones may be lost with the machine, though never by halves. With `mending` a damaged file is set aside
    at the first write; without, `Damaged` is raised. `steps` are those of the schema.
    """

    def __init__(
        self,
        folder: Path,
        *,
        patience: float = 10.0,
        durable: bool = True,
        mending: bool = True,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        self.path = folder / FILE
        self.notes: tuple[str, ...] = ()
        """What a person should know: what was set aside."""
        self._patience = patience
        self._durable = durable
        self._mending = mending
        self._steps = steps
        self._turn = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._opened_file: tuple[int, int] | None = None
        self._closer: weakref.finalize[..., Database] | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """One consistent view of it; nothing where there is no file.

        Raises `StateError`, also for a file of a newer fleet, and `Damaged`.
        """
        with self._turn, self._told():
            self._let_go_of_another()
            if self._writer is not None:
                with transaction(self._writer, "BEGIN"):
                    yield self._writer
                return
            try:
                check_private(self.path.parent)
                check_private(self.path, kind="file")
            except FileNotFoundError:
                yield None
                return
            with self._reader() as connection, transaction(connection, "BEGIN"):
                yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept when the block ends, and nothing of it where the block fails. One that is not
        `durable` may be lost with the machine until a durable one follows.

        Raises `StateError`, also for a file of a newer fleet, and `Damaged` for damage that shows only now.
        """
        with self._turn, self._told():
            self._let_go_of_another()
            if self._writer is None:
                self._writer = self._opened()
                # Closed with its owner, so that whoever forgets to close leaves nothing behind either.
                self._closer = weakref.finalize(self, self._writer.close)
            if self._durable:
                # The log is in order: what is on disk is always all that was written up to some moment.
                self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with transaction(self._writer, "BEGIN IMMEDIATE"):
                # A newer fleet may have begun on this machine meanwhile.
                version_of(self._writer, self.path, len(self._steps))
                yield self._writer

    def begin_anew(self, damage: Damaged) -> None:
        """Sets the file aside in which `writing` met damage, which is noted. Raises `StateError`."""
        self.close()
        with self._turn, self._told(), alone(self.path.parent), suppress(FileNotFoundError):
            # Another process may have done so already.
            if _identity(self.path.lstat()) == self._opened_file:
                self._set_aside(damage)

    def close(self) -> None:
        """What was written stays; the next use opens the file again."""
        with self._turn:
            if self._closer is not None:
                self._closer()
            self._writer = self._closer = None

    def _let_go_of_another(self) -> None:
        """Closes a file that was set aside or deleted since it was opened: what went there would be lost."""
        if self._writer is None:
            return
        try:
            same = _identity(self.path.lstat()) == self._opened_file
        except FileNotFoundError:
            same = False
        if not same:
            self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a fault of ours, and none of the file
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        except UnicodeDecodeError as error:  # what the library cites may be no text
            raise Damaged("it holds texts that are none") from error
        except OSError as error:
            raise unusable(self.path, error.strerror or str(error)) from error

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Of the newest schema, whatever the file has."""
        with self._readable() as connection:
            connection.execute("PRAGMA query_only = ON")
            version = version_of(connection, self.path, len(self._steps))
            if version == len(self._steps):
                yield connection
                return
            with closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as copy:
                connection.backup(copy)
                bring_forward(copy, version, self._steps)
                yield copy

    @contextmanager
    def _readable(self) -> Iterator[sqlite3.Connection]:
        # Not `mode=ro`, which leaves the files beside it behind. With `rw` the last one to close takes them away.
        with closing(self._connected(self.path, "mode=rw")) as connection:
            try:
                connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
                    raise
            else:
                yield connection
                return
        # Nothing can be made beside the file here, so nobody writes to it here either.
        log = self.path.with_name(self.path.name + BESIDE[0])
        if not log.exists() or log.stat().st_size == 0:
            with closing(self._connected(self.path, "mode=ro&immutable=1")) as connection:
                yield connection
            return
        with tempfile.TemporaryDirectory(prefix="ollama-fleet-") as elsewhere:
            copy = Path(elsewhere, self.path.name)
            shutil.copyfile(self.path, copy)
            shutil.copyfile(log, copy.with_name(log.name))
            with closing(self._connected(copy, "mode=rw")) as connection:
                yield connection

    def _opened(self) -> sqlite3.Connection:
        """For writing. The folder is this process's alone meanwhile."""
        folder = self.path.parent
        private_folder(folder)
        with alone(folder):
            sweep(self.path)
            try:
                if not os.path.lexists(self.path):
                    self._begin()
                with self._told():
                    return self._checked()
            except Damaged as damage:
                if not self._mending:
                    raise
                self._set_aside(damage)
                self._begin()
                return self._checked()

    def _checked(self) -> sqlite3.Connection:
        check_private(self.path, kind="file")
        told = self.path.lstat()
        self._opened_file = _identity(told)
        if stat.S_IMODE(told.st_mode) != _PRIVATE:
            # As a restored backup left it; the library gives what it makes beside it the same mode.
            self.path.chmod(_PRIVATE)
        connection = self._connected(self.path, "mode=rw")
        try:
            version = version_of(connection, self.path, len(self._steps))
            if version < len(self._steps):
                make_whole(dated(self.path, f"version-{version}"), lambda to: _copy(connection, to))
                bring_forward(connection, version, self._steps)
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self) -> None:
        # A log without its file would be taken for a part of the new one.
        set_aside(self.path)

        def write(to: Path) -> None:
            with closing(self._connected(to, "mode=rw")) as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                bring_forward(connection, 0, self._steps)

        make_whole(self.path, write)

    def _set_aside(self, damage: Damaged) -> None:
        to = set_aside(self.path)
        if to is not None:
            told = f"what fleet remembered was damaged ({damage}): {self.path} was set aside as `{to.name}`"
            self.notes += (
                f"{told}, and a new one begun: created models are proven anew, and guards have nothing to compare with",
            )

    def _connected(self, path: Path, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{mode}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_CELL)
        return connection


def _identity(told: os.stat_result) -> tuple[int, int]:
    return told.st_dev, told.st_ino


def _copy(connection: sqlite3.Connection, to: Path) -> None:
    with closing(sqlite3.connect(to)) as copy:
        connection.backup(copy)
