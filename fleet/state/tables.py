"""Rows of one fleet in the database: read with proof that all are there and whole, and written by difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.state.damage import Damaged
from fleet.state.rows import FLEET, TABLES, Rows, Table, host_of, seal, sealed

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a state of a fleet's rows is told from every other."""

    writes: int
    total: int


def mark(connection: sqlite3.Connection, fleet: str) -> Mark | None:
    """Nothing for a fleet that nothing was ever written of. Raises `Damaged` where its rows are there nonetheless."""
    found = connection.execute("SELECT writes, seal FROM fleets WHERE fleet = ?", (fleet,)).fetchone()
    if found is not None:
        return Mark(*found)
    for table in ("sizes", "sources", "pushed", "hosts"):
        if connection.execute(f"SELECT 1 FROM {table} WHERE fleet = ?", (fleet,)).fetchone():  # noqa: S608  # constants
            raise Damaged("rows are there without what they belong to")
    return None


def read(connection: sqlite3.Connection, fleet: str, expected: Mark) -> dict[str, Rows]:
    """All rows, by `host_of`. Raises `Damaged` where they are not those that were written."""
    rows: dict[str, Rows] = {FLEET: {}}
    total = 0
    for table in TABLES:
        keys = len(table.key)
        for found in connection.execute(_SELECT[table.name], (fleet,)):
            key = (table.name, *found[:keys])
            cells = found[keys:]
            total += seal(key, cells)
            rows.setdefault(host_of(key), {})[key] = cells
    if sealed(total) != expected.total:
        raise Damaged("rows are missing or altered")
    return rows


def write(connection: sqlite3.Connection, fleet: str, put: Rows, drop: Rows, former: Mark | None) -> Mark:
    """`drop` goes with the cells that are there now, those that `put` replaces too. Gives the new mark."""
    total = former.total if former is not None else 0
    for sign, changed in ((-1, drop), (1, put)):
        total += sign * sum(seal(key, cells) for key, cells in changed.items())
    for table in TABLES:
        gone = [(fleet, *key[1:]) for key in drop if key[0] == table.name and key not in put]
        if gone:
            connection.executemany(_DELETE[table.name], gone)
        rows = [(fleet, *key[1:], *cells) for key, cells in put.items() if key[0] == table.name]
        if rows:
            connection.executemany(_PUT[table.name], rows)
    now = Mark(former.writes + 1 if former is not None else 1, sealed(total))
    connection.execute(
        "INSERT INTO fleets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET writes = excluded.writes, seal = excluded.seal",
        (fleet, now.writes, now.total),
    )
    return now


def begin_tables_anew(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    """Within a writing transaction: the tables are empty afterwards, of all fleets, whatever was in their pages.

    A table whose pages are no tree any more can be neither emptied nor dropped. So it is struck off the schema and made
    again; its former pages stay unused.
    """
    places = ", ".join("?" * len(names))
    chosen = f"type = 'table' AND name IN ({places})"
    made = connection.execute(f"SELECT sql FROM sqlite_master WHERE {chosen}", tuple(names)).fetchall()  # noqa: S608
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute(f"DELETE FROM sqlite_master WHERE {chosen}", tuple(names))  # noqa: S608
        # Without it this connection and others would go on with the schema that they know.
        connection.execute(f"PRAGMA schema_version = {version + 1}")
    finally:
        connection.execute("PRAGMA writable_schema = RESET")
    for (statement,) in made:
        connection.execute(statement)


def _put(table: Table) -> str:
    columns = ("fleet", *table.key, *table.cells)
    then = "UPDATE SET " + ", ".join(f"{cell} = excluded.{cell}" for cell in table.cells) if table.cells else "NOTHING"
    keys = ", ".join(("fleet", *table.key))
    places = ", ".join("?" * len(columns))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT ({keys}) DO {then}"  # noqa: S608


def _where(table: Table) -> str:
    return " AND ".join(f"{column} = ?" for column in ("fleet", *table.key))


# Made of the constants in `TABLES` alone; values go in as parameters.
_SELECT = {
    table.name: f"SELECT {', '.join(table.key + table.cells)} FROM {table.name} WHERE fleet = ?"  # noqa: S608
    for table in TABLES
}
_DELETE = {table.name: f"DELETE FROM {table.name} WHERE {_where(table)}" for table in TABLES}  # noqa: S608
_PUT = {table.name: _put(table) for table in TABLES}
