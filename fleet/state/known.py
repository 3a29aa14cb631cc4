"""Which fleets this machine remembers, and which hosts of one: for whoever names a host without its inventory."""

from __future__ import annotations

from pathlib import Path

from fleet.names import HostName, InvalidName
from fleet.state.damage import Damaged

_FLEETS = ("fleets", "pass_numbers", "suspensions")
_HOSTS = ("hosts", "attempts", "suspensions")


def known_fleets(folder: str) -> tuple[str, ...]:
    """By name; none where the file is damaged. Raises `StateError`."""
    return _distinct(folder, "fleet", _FLEETS, None)


def known_hosts(folder: str, name: str) -> tuple[HostName, ...]:
    """The hosts that the fleet called `name` ever saw or suspended. Raises `StateError`."""
    found = []
    for host in _distinct(folder, "host", _HOSTS, name):
        try:
            found.append(HostName.parse(host))
        except InvalidName:
            continue  # a damaged row, which its owner leaves out too
    return tuple(found)


def _distinct(folder: str, column: str, tables: tuple[str, ...], fleet: str | None) -> tuple[str, ...]:
    from fleet.state.database import Database  # noqa: PLC0415  # the library is loaded by what remembers alone

    where = "" if fleet is None else " WHERE fleet = ?"
    # Columns and tables are the constants above.
    select = " UNION ".join(f"SELECT {column} FROM {table}{where}" for table in tables)  # noqa: S608
    try:
        with Database(Path(folder)).reading() as connection:
            if connection is None:
                return ()
            connection.text_factory = lambda raw: raw.decode(errors="replace")
            found = connection.execute(select, () if fleet is None else (fleet,) * len(tables)).fetchall()
    except Damaged:
        return ()
    return tuple(sorted(text for (text,) in found if isinstance(text, str)))
