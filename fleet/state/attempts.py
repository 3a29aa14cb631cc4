"""What failed on which host and when it is tried again: kept, so that a restart is no reason to try everything at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fleet.names import HostName
from fleet.state.apart import Apart
from fleet.state.cells import number_of, sound, text_of, time_of, time_text
from fleet.state.rows import Table

if TYPE_CHECKING:
    import sqlite3

_MOST = 50_000
"""Of one fleet: more than a thousand hosts on which everything fails. What was tried longest ago goes first."""
_LONGEST = 512
"""Characters of a message."""

_ATTEMPTS = Table(
    "attempts",
    ("host", "model", "action"),
    ("retry_class", "tries", "first", "last", "next_try", "inputs", "code", "message"),
)

AttemptKey = tuple[HostName, str, str]
"""Host, model, action."""


class RetryClass(StrEnum):
    """Whether and when trying again helps (`reliability.md` C.0.3)."""

    P = "P"
    """Permanent until input, credentials, version or policy change."""
    T = "T"
    """Transient."""
    T_RESUME = "T-resume"
    """A long transfer that can go on where it broke off."""
    S = "S"
    """Stalled: a person has to change something."""
    B_DISK = "B-disk"
    """The host's disk has no room for it."""
    B_VRAM = "B-vram"
    """The host's memory has no room for it."""
    B_VERSION = "B-version"
    """The server is too old or too new for it."""
    U = "U"
    """Unknown how it ended: a look comes first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried in vain, the last of several times in a row."""

    host: HostName
    model: str
    """Empty where the host itself could not be had."""
    action: str
    """As in a plan: `pull`, `create` …; `observe` or the like for a host."""
    retry_class: RetryClass
    tries: int
    """In a row."""
    first: datetime
    last: datetime
    next_try: datetime
    """Not before."""
    inputs: str
    """Hash of what it was tried with: another one is tried at once."""
    code: str = ""
    """`FLT-nnn`."""
    message: str = ""

    @property
    def key(self) -> AttemptKey:
        return self.host, self.model, self.action


class Attempts(Apart):
    """Of the fleet called `name`."""

    what = "what fleet knows of failed attempts"
    tables = (_ATTEMPTS,)

    def all(self) -> tuple[Attempt, ...]:
        """In the order of host, model and action. Raises `StateError`."""
        none: tuple[Attempt, ...] = ()
        return self._read(self._sound_ones, none)

    def keep(self, attempts: Iterable[Attempt]) -> None:
        """Adds them, or puts them in place of those with the same keys, all or none. Raises `StateError`."""
        rows = [_row(attempt) for attempt in attempts]
        if not rows:
            return

        def change(connection: sqlite3.Connection) -> None:
            for row in rows:
                self._put(connection, _ATTEMPTS, row)
            (there,) = connection.execute("SELECT COUNT(*) FROM attempts WHERE fleet = ?", (self._name,)).fetchone()
            if there > _MOST:
                oldest = connection.execute(
                    "SELECT host, model, action FROM attempts WHERE fleet = ? ORDER BY last LIMIT ?",
                    (self._name, there - _MOST),
                ).fetchall()
                for key in oldest:
                    self._drop(connection, _ATTEMPTS, key)

        self._write(change)

    def drop(self, keys: Iterable[AttemptKey]) -> None:
        """Forgets them: it went well, or is not asked for any more. Raises `StateError`."""
        gone = list(keys)
        if gone:
            self._write(lambda connection: [self._drop(connection, _ATTEMPTS, key) for key in gone])

    def drop_host(self, host: HostName) -> None:
        """Forgets all of one host. Raises `StateError`."""
        self._write(lambda connection: self._drop(connection, _ATTEMPTS, (host,)))

    def _sound_ones(self, connection: sqlite3.Connection) -> tuple[Attempt, ...]:
        found = []
        for row in self._rows(connection, _ATTEMPTS, "ORDER BY host, model, action"):
            try:
                found.append(_attempt(row))
            except (ValueError, TypeError):
                self._misread(_ATTEMPTS, row)
        return tuple(found)


def _row(attempt: Attempt) -> tuple[str | int, ...]:
    return (
        attempt.host,
        attempt.model,
        attempt.action,
        attempt.retry_class.value,
        attempt.tries,
        time_text(attempt.first),
        time_text(attempt.last),
        time_text(attempt.next_try),
        attempt.inputs,
        attempt.code,
        sound(attempt.message, _LONGEST),
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    host, model, action, retry_class, tries, first, last, next_try, inputs, code, message = row
    return Attempt(
        HostName.parse(text_of(host)),
        text_of(model),
        text_of(action),
        RetryClass(text_of(retry_class)),
        number_of(tries),
        time_of(text_of(first)),
        time_of(text_of(last)),
        time_of(text_of(next_try)),
        text_of(inputs),
        text_of(code),
        text_of(message),
    )
