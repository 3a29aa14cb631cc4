"""What other fleets of the same database put on hosts, or are at: names that are theirs, whoever else prunes there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.names import ModelName
from fleet.state.damage import Damaged

if TYPE_CHECKING:
    import sqlite3

_AT_ONCE = 500
"""Addresses that are asked about in one statement."""


def made_by_others(folder: str, name: str, urls: Collection[str]) -> Mapping[str, Mapping[ModelName, str]]:
    """By address and model, which other fleet than `name` made it, or began to. Nothing where no file is, nor where it is
    damaged: then nothing is remembered of this fleet either. Raises `StateError`.
    """
    from fleet.state.database import Database  # noqa: PLC0415  # the library is loaded by what remembers alone

    database = Database(Path(folder))
    found: dict[str, dict[ModelName, str]] = {}
    wanted = sorted(set(urls))
    try:
        with database.reading() as connection:
            if connection is None:
                return {}
            for at in range(0, len(wanted), _AT_ONCE):
                _read(connection, name, wanted[at : at + _AT_ONCE], found)
    except Damaged:
        return {}
    return found


def _read(
    connection: sqlite3.Connection, name: str, urls: Collection[str], found: dict[str, dict[ModelName, str]]
) -> None:
    places = ", ".join("?" * len(urls))
    for table in ("begun", "made"):
        select = (
            f"SELECT h.url, t.spelled, t.fleet FROM hosts h JOIN {table} t ON t.fleet = h.fleet AND t.host = h.host"  # noqa: S608
            f" WHERE h.fleet != ? AND h.url IN ({places}) ORDER BY t.fleet"
        )
        for url, spelled, fleet in connection.execute(select, (name, *urls)):
            try:
                found.setdefault(url, {})[ModelName.parse(spelled)] = str(fleet)
            except (ValueError, TypeError) as error:
                raise Damaged(f"rows hold what no fleet wrote: {error}") from error
