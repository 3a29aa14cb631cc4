"""Which schema a file has, and how it comes to the newest one: one version at a time, each as a whole."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from fleet.state.damage import Damaged
from fleet.state.folder import unusable
from fleet.state.schema import APPLICATION, Step


def version_of(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """At most `newest`. Raises `Damaged` for a file that is none of ours, `StateError` for a newer one."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION or version < 1:
        raise Damaged("it is no database of fleet")
    if version > newest:
        raise unusable(
            path,
            f"it was written by a newer version of fleet (schema {version}, this one knows {newest})",
            f"upgrade fleet here; to start anew instead, move `{path}` away",
        )
    if connection.execute("SELECT seal FROM format").fetchall() != [(_schema_seal(connection),)]:
        raise Damaged("its schema is altered")
    return int(version)


def bring_forward(connection: sqlite3.Connection, version: int, steps: Sequence[Step]) -> None:
    """Carries out the steps after `version`, which is 0 for a new file."""
    for number, step in enumerate(steps[version:], version + 1):
        with transaction(connection, "BEGIN IMMEDIATE"):
            for statement in step:
                connection.execute(statement)
            connection.execute("DELETE FROM format")
            connection.execute("INSERT INTO format VALUES (?)", (_schema_seal(connection),))
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {number}")


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Of a connection without ones of its own. `begin` is the statement."""
    connection.execute(begin)
    try:
        yield
        sys.audit("fleet.commit", begin)
        connection.execute("COMMIT")
    except BaseException:
        # The library ends some failed transactions by itself.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _schema_seal(connection: sqlite3.Connection) -> int:
    told = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    return crc32("\n".join(f"{kind} {name} {of} {sql}" for kind, name, of, sql in told).encode())
