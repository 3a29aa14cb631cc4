"""Hosts that somebody told fleet to leave alone, for a while or until further notice, without a change of manifests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fleet.names import HostName
from fleet.state.apart import Apart
from fleet.state.cells import sound, text_of, time_of, time_text
from fleet.state.folder import StateError, unusable
from fleet.state.rows import Table

if TYPE_CHECKING:
    import sqlite3

_LONGEST = 500
"""Characters of a reason."""

_SUSPENSIONS = Table("suspensions", ("host",), ("reason", "since", "until"))


@dataclass(frozen=True, slots=True)
class Suspension:
    """One host that is only looked at."""

    host: HostName
    reason: str
    """Empty where none was given."""
    since: datetime
    until: datetime | None
    """From then on it is in service again; nothing: until somebody says so."""

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


class Suspensions(Apart):
    """Of the fleet called `name`."""

    what = "what fleet knows of suspended hosts"
    tables = (_SUSPENSIONS,)

    def __init__(self, folder: str, name: str) -> None:
        super().__init__(folder, name)
        self._over: set[HostName] = set()

    def all(self, now: datetime) -> Mapping[HostName, Suspension]:
        """Those that hold at `now`, by host. Raises `StateError`."""
        none: tuple[Suspension, ...] = ()
        every = self._read(self._sound_ones, none)
        self._over = {each.host for each in every if not each.holds(now)}
        return {each.host: each for each in every if each.holds(now)}

    def suspend(self, host: HostName, since: datetime, until: datetime | None, reason: str) -> Suspension:
        """In place of a former one of the host. Raises `StateError`, also where it could not be kept."""
        suspension = Suspension(host, sound(reason, _LONGEST), since, until)

        def change(connection: sqlite3.Connection) -> bool:
            self._sweep(connection, since)
            self._put(connection, _SUSPENSIONS, _row(suspension))
            return True

        if not self._write(change):
            raise self._not_kept()
        return suspension

    def resume(self, host: HostName) -> bool:
        """Takes the suspension back; tells whether there was one. Raises `StateError`, also where it could not be."""

        def change(connection: sqlite3.Connection) -> bool:
            self._sweep(connection)
            return self._drop(connection, _SUSPENSIONS, (host,))

        gone = self._write(change)
        if gone is None:
            raise self._not_kept()
        return gone

    def _sweep(self, connection: sqlite3.Connection, now: datetime | None = None) -> None:
        """Takes away what is over: by the last look, or by `now`."""
        for each in self._sound_ones(connection):
            if each.host in self._over or (now is not None and not each.holds(now)):
                self._drop(connection, _SUSPENSIONS, (each.host,))

    def _not_kept(self) -> StateError:
        return unusable(self._database.path, f"{self.what} is damaged")

    def _sound_ones(self, connection: sqlite3.Connection) -> tuple[Suspension, ...]:
        found = []
        for row in self._rows(connection, _SUSPENSIONS, "ORDER BY host"):
            try:
                found.append(_suspension(row))
            except (ValueError, TypeError):
                self._misread(_SUSPENSIONS, row)
        return tuple(found)


def _row(suspension: Suspension) -> tuple[str | None, ...]:
    until = suspension.until
    return (
        suspension.host,
        suspension.reason,
        time_text(suspension.since),
        None if until is None else time_text(until),
    )


def _suspension(row: tuple[Any, ...]) -> Suspension:
    host, reason, since, until = row
    return Suspension(
        HostName.parse(text_of(host)),
        text_of(reason),
        time_of(text_of(since)),
        None if until is None else time_of(text_of(until)),
    )
