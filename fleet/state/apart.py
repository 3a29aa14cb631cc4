"""Rows of one fleet that stand apart from those which guards and evidence rest on: history, back-off, suspensions.

Each row has a sum of its own. Damage costs the rows that it hit and is told in a note; it never stands in the way of a
pass. Who keeps such rows derives what it offers from `Apart`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from fleet.state.damage import Damaged
from fleet.state.opened import Opened
from fleet.state.rows import Table
from fleet.state.tables import begin_tables_anew

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

Value = str | int | bytes | None


class Apart(Opened):
    """The rows of the fleet called `name` in some tables. Nothing is opened before it is asked for.

    What is written is on disk when the call returns. All calls raise `StateError` where the file cannot be had: a folder
    that is not private, a newer fleet, a full disk. To be used by one thread at a time.
    """

    what = ""
    """What the rows are, for notes."""
    tables: tuple[Table, ...] = ()
    durable = True
    """Whether what is written must outlive the machine, and not this process alone."""

    def __init__(self, folder: str, name: str) -> None:
        from fleet.state.database import Database  # noqa: PLC0415  # the library is loaded by what remembers alone

        self._database = Database(Path(folder), durable=self.durable)
        self._name = name
        self._notes: dict[str, None] = {}
        self._unsound: set[tuple[str, Value]] = set()
        """Table and seal of rows that were not as they were written."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Whole sentences for the person in front: what was damaged, and what came of it. Each is there once."""
        return (*self._notes, *self._database.notes)

    def _read(self, ask: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """What `ask` finds; `nothing` where there is no file yet, or, with a note, where it cannot be read."""
        try:
            with self._database.reading() as connection:
                if connection is None:
                    return nothing
                connection.text_factory = _lenient
                return ask(connection)
        except Damaged as damage:
            self._note(f"{self.what} cannot be read ({damage}): {self._database.path}")
            return nothing

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T | None:
        """All that `change` does, or nothing of it. Where damage is in the way the tables are begun anew first, which
        is noted; where not even that can be done nothing is kept and returned, which is noted too.
        """
        try:
            return self._written(change)
        except Damaged as damage:
            first = damage

        def emptied(connection: sqlite3.Connection) -> T:
            begin_tables_anew(connection, [table.name for table in self.tables])
            return change(connection)

        try:
            result = self._written(emptied)
        except Damaged:
            path = self._database.path
            self._note(f"{self.what} cannot be kept ({first}): {path}; moved away, it is begun anew")
            return None
        self._note(f"{self.what} was damaged ({first}), and is begun anew: {self._database.path}")
        return result

    def _written(self, change: Callable[[sqlite3.Connection], T]) -> T:
        unsound = tuple(self._unsound)
        with self._database.writing() as connection:
            connection.text_factory = _lenient
            for table, seal in unsound:
                # By their seals, since a key may be no text any more.
                connection.execute(f"DELETE FROM {table} WHERE fleet = ? AND seal IS ?", (self._name, seal))  # noqa: S608
            result = change(connection)
        self._unsound.difference_update(unsound)
        return result

    def _rows(
        self, connection: sqlite3.Connection, table: Table, more: str = "", values: Sequence[Value] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Key and cells of all sound rows of the fleet. `more` goes on after `WHERE fleet = ?`.

        Others are noted, left out, and taken away by the next write.
        """
        columns = ", ".join((*table.key, *table.cells, "seal"))
        select = f"SELECT {columns} FROM {table.name} WHERE fleet = ? {more}"  # noqa: S608  # constants
        for *row, seal in connection.execute(select, (self._name, *values)):
            if seal == self._seal(table, row):
                yield tuple(row)
            else:
                self._leave_out(table, seal)

    def _misread(self, table: Table, row: Sequence[Value]) -> None:
        """Of a row that fits its sum and makes no value all the same."""
        self._leave_out(table, self._seal(table, row))

    def _leave_out(self, table: Table, seal: Value) -> None:
        self._unsound.add((table.name, seal))
        self._note(f"a part of {self.what} is damaged and left out: {self._database.path}")

    def _put(self, connection: sqlite3.Connection, table: Table, row: Sequence[Value]) -> None:
        """Adds a row, or replaces the one with its key."""
        columns = ("fleet", *table.key, *table.cells, "seal")
        places = ", ".join("?" * len(columns))
        put = f"INSERT OR REPLACE INTO {table.name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  # constants
        connection.execute(put, (self._name, *row, self._seal(table, row)))

    def _drop(self, connection: sqlite3.Connection, table: Table, key: Sequence[Value]) -> bool:
        """Tells whether the row was there."""
        where = " AND ".join(("fleet = ?", *(f"{column} = ?" for column in table.key[: len(key)])))
        gone = connection.execute(f"DELETE FROM {table.name} WHERE {where}", (self._name, *key))  # noqa: S608  # constants
        return gone.rowcount > 0

    def _note(self, sentence: str) -> None:
        self._notes[sentence] = None

    def _seal(self, table: Table, row: Sequence[Value]) -> int:
        """A sum over the whole row. Against accidents alone: who may write to the file can make a new one."""
        total = crc32(f"{table.name}\0{self._name}\0".encode(errors="replace"))
        for value in row:
            raw = value if isinstance(value, bytes) else b"\1" if value is None else str(value).encode(errors="replace")
            total = crc32(b"\0", crc32(raw, total))
        return total


def _lenient(raw: bytes) -> str:
    """A text that is none gives a row that does not fit its sum, instead of a table that cannot be read."""
    return raw.decode(errors="replace")
