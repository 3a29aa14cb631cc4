"""Who may change the host at an address: one fleet at a time, over all fleets that share the database.

Correctness does not rest on it: steps look before they act. It keeps two fleets of one machine from working against
each other. A holder that was killed keeps others waiting until its lease ends; a run of the same fleet, which has that
fleet's lock, takes it over at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fleet.state.apart import Apart
from fleet.state.cells import sound, text_of, time_of, time_text
from fleet.state.rows import Table

if TYPE_CHECKING:
    import sqlite3

_LEASES = Table("leases", ("url",), ("holder", "since", "until"))


@dataclass(frozen=True, slots=True)
class Lease:
    """One host in one fleet's hands."""

    fleet: str
    url: str
    """The host's address as it stands in the inventory."""
    holder: str
    """The process and machine, for people."""
    since: datetime
    until: datetime
    """From then on anybody may take it."""


class Leases(Apart):
    """Of all fleets in the folder; `name` is the one that takes them."""

    what = "what fleet knows of who changes a host"
    tables = (_LEASES,)
    durable = False
    """A machine that lost its power works on no host any more."""

    def take(self, url: str, holder: str, now: datetime, until: datetime) -> Lease | None:
        """Takes or renews it. Gives another fleet's lease that still holds; then nothing is taken.

        Raises `StateError` where the file cannot be had.
        """

        def change(connection: sqlite3.Connection) -> Lease | None:
            there = self._there(connection, url)
            # A clock that once ran ahead keeps nobody away: no lease is that long. One that is set back a little does.
            latest = until + (until - now)
            if there is not None and there.fleet != self._name and now < there.until <= latest:
                return there
            since = there.since if there is not None and there.fleet == self._name else now
            # The key is the address alone: another fleet's row is replaced.
            self._put(connection, _LEASES, (url, sound(holder), time_text(since), time_text(until)))
            return None

        return self._write(change)

    def give_back(self, url: str) -> None:
        """Ends this fleet's lease, if it has it. Raises `StateError`."""
        self._write(lambda connection: self._drop(connection, _LEASES, (url,)))

    def give_back_all(self) -> None:
        """Ends what a killed run of this fleet left; to be called by who has the fleet's lock. Raises `StateError`."""
        select = "SELECT url FROM leases WHERE fleet = ?"
        nothing: list[tuple[str]] = []
        left = self._read(lambda connection: connection.execute(select, (self._name,)).fetchall(), nothing)
        if left:
            self._write(lambda connection: [self._drop(connection, _LEASES, url) for url in left])

    def _there(self, connection: sqlite3.Connection, url: str) -> Lease | None:
        select = "SELECT fleet, url, holder, since, until FROM leases WHERE url = ?"
        found = connection.execute(select, (url,)).fetchone()
        if found is None:
            return None
        try:
            fleet, at, holder, since, until = map(text_of, found)
            return Lease(fleet, at, holder, time_of(since), time_of(until))
        except (ValueError, TypeError):
            # A row that nobody can read holds nobody up.
            return None
