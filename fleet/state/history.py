"""The passes of one fleet: when, why, by which revision, with what outcome; of most also what was planned and done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from fleet.state.apart import Apart
from fleet.state.cells import number_of, sound, text_of, time_of, time_text
from fleet.state.packing import packed, unpacked
from fleet.state.rows import Table

if TYPE_CHECKING:
    import sqlite3

RUNNING = "running"
UNCHANGED = "unchanged"
CUT_SHORT = "cut-short"
"""The outcomes that the history itself knows; `fleet.daemon.status.Outcome` has all of them."""

_LARGEST = 1 << 20
"""Bytes of one document, deflated: a pass over a thousand hosts takes about a third of it."""
_LARGEST_IN_ALL = 64 << 20
"""Bytes of all documents of one fleet; those of the oldest passes go first."""
_LONGEST = 2000
"""Characters of a message; of other texts less comes in anyway."""

_PASSES = Table(
    "passes",
    ("number",),
    ("begun", "ended", "triggers", "revision", "dry_run", "outcome", "done", "failed", "message"),
)
_DOCUMENTS = Table("pass_documents", ("number",), ("packed",))
_NUMBERS = Table("pass_numbers", (), ("number",))

_HIGHEST = 1 << 62
"""No pass has such a number; the file could not hold much higher ones."""


@dataclass(frozen=True, slots=True)
class PassRecord:
    """One pass; the fields are those of `fleet.daemon.status.PassStatus`, which tells more about them."""

    number: int
    begun: datetime
    ended: datetime | None
    """Nothing while it runs, and where nobody was left to tell it."""
    triggers: tuple[str, ...]
    revision: str
    outcome: str
    done: int = 0
    failed: int = 0
    message: str = ""
    dry_run: bool = False


_NONE: tuple[PassRecord, ...] = ()


class History(Apart):
    """Of the fleet called `name`. Damage costs entries, never a pass: numbers are given out all the same."""

    what = "the history of passes"
    tables = (_PASSES, _DOCUMENTS, _NUMBERS)

    def __init__(self, folder: str, name: str, largest_in_all: int = _LARGEST_IN_ALL) -> None:
        """`largest_in_all` is how many bytes the documents of all passes may take together, deflated."""
        super().__init__(folder, name)
        self._largest_in_all = largest_in_all
        self._running: dict[int, PassRecord] = {}
        self._highest = 0

    def begin(self, begun: datetime, triggers: tuple[str, ...], revision: str, *, dry_run: bool = False) -> int:
        """The number of a pass that begins now: from 1 on, one more each time, and none twice. Raises `StateError`."""
        record = PassRecord(
            0,
            begun,
            None,
            tuple(sound(trigger, 100).replace(" ", "-") for trigger in triggers[:100]),
            sound(revision, 200),
            RUNNING,
            dry_run=dry_run,
        )

        def change(connection: sqlite3.Connection) -> int:
            given = [number_of(row[0]) for row in self._rows(connection, _NUMBERS)]
            there = [record.number for record in self._records(connection, "ORDER BY number DESC", most=1)]
            number = max(self._highest, *given, *there, 0) + 1
            self._put(connection, _NUMBERS, (number,))
            self._put(connection, _PASSES, _row(replace(record, number=number)))
            return number

        number = self._write(change) or self._highest + 1
        self._highest = number
        self._running[number] = replace(record, number=number)
        return number

    def end(
        self,
        number: int,
        ended: datetime,
        outcome: str,
        done: int,
        failed: int,
        message: str,
        document: Mapping[str, Any] | None,
    ) -> None:
        """How a pass that `begin` numbered ended. `document` is its plan and results, anything that JSON can hold; one
        of more than a megabyte deflated is left out. Raises `StateError`, and `KeyError` for a pass that never began.
        """
        kept = None if document is None else packed(json.dumps(dict(document), separators=(",", ":")), _LARGEST)
        begun = self._running.get(number) or self._read(lambda connection: self._one(connection, number), None)
        if begun is None:
            raise KeyError(number)
        record = replace(
            begun, ended=ended, outcome=str(outcome), done=done, failed=failed, message=sound(message, _LONGEST)
        )

        def change(connection: sqlite3.Connection) -> None:
            self._put(connection, _PASSES, _row(record))
            if kept is None:
                self._drop(connection, _DOCUMENTS, (number,))
            else:
                self._put(connection, _DOCUMENTS, (number, kept))

        self._write(change)
        self._running.pop(number, None)

    def list(self, limit: int, before: int | None = None) -> tuple[PassRecord, ...]:
        """The newest passes, newest first; with `before`, of those with a lower number. Raises `StateError`."""
        below = _HIGHEST if before is None else min(before, _HIGHEST)
        newest = "AND number < ? ORDER BY number DESC"
        return self._read(lambda connection: self._records(connection, newest, (below,), most=limit), _NONE)

    def one(self, number: int) -> tuple[PassRecord, dict[str, Any] | None] | None:
        """A pass with its document, where that was kept; nothing for a pass that is not. Raises `StateError`."""

        def ask(connection: sqlite3.Connection) -> tuple[PassRecord, dict[str, Any] | None] | None:
            record = self._one(connection, number)
            if record is None:
                return None
            for row in self._rows(connection, _DOCUMENTS, "AND number = ?", (number,)):
                try:
                    document = json.loads(unpacked(row[1]))
                except (ValueError, RecursionError):
                    self._misread(_DOCUMENTS, row)
                    continue
                return record, document if isinstance(document, dict) else None
            return record, None

        return self._read(ask, None)

    def keep(self, count: int) -> None:
        """Lets go of all passes but `count`: the oldest of those that changed nothing first, then the oldest others.

        The newest stays in any case, and so do passes that run. Raises `StateError`.
        """

        def change(connection: sqlite3.Connection) -> None:
            (there,) = connection.execute("SELECT COUNT(*) FROM passes WHERE fleet = ?", (self._name,)).fetchone()
            if there > count:
                gone = connection.execute(
                    "SELECT number FROM passes WHERE fleet = ? AND outcome != ?"
                    " AND number < (SELECT MAX(number) FROM passes WHERE fleet = ?)"
                    " ORDER BY outcome != ?, number LIMIT ?",
                    (self._name, RUNNING, self._name, UNCHANGED, there - count),
                ).fetchall()
                for key in gone:
                    self._drop(connection, _PASSES, key)
                    self._drop(connection, _DOCUMENTS, key)
            sizes = connection.execute(
                "SELECT number, LENGTH(packed) FROM pass_documents WHERE fleet = ? ORDER BY number DESC", (self._name,)
            ).fetchall()
            total = 0
            for number, size in sizes:
                total += size
                if total > self._largest_in_all:
                    self._drop(connection, _DOCUMENTS, (number,))

        self._write(change)

    def abandoned(self) -> int:
        """Passes that still run by the history are told to be cut short, and counted: those of a process that was
        killed. For whoever knows that no other process carries out passes of this fleet. Raises `StateError`.
        """

        def change(connection: sqlite3.Connection) -> int:
            left = [
                record
                for record in self._records(connection, "AND outcome = ?", (RUNNING,))
                if record.number not in self._running
            ]
            for record in left:
                self._put(connection, _PASSES, _row(replace(record, outcome=CUT_SHORT)))
            return len(left)

        # Mostly there are none, and then nothing is to be written, nor made.
        running = self._read(lambda connection: self._records(connection, "AND outcome = ?", (RUNNING,)), _NONE)
        return (self._write(change) or 0) if running else 0

    def _one(self, connection: sqlite3.Connection, number: int) -> PassRecord | None:
        if not 0 < number < _HIGHEST:
            return None
        return next(iter(self._records(connection, "AND number = ?", (number,))), None)

    def _records(
        self, connection: sqlite3.Connection, more: str, values: tuple[str | int, ...] = (), most: int | None = None
    ) -> tuple[PassRecord, ...]:
        def sound_ones() -> Iterator[PassRecord]:
            for row in self._rows(connection, _PASSES, more, values):
                try:
                    yield _record(row)
                except (ValueError, TypeError):
                    self._misread(_PASSES, row)

        return tuple(islice(sound_ones(), most))


def _row(record: PassRecord) -> tuple[str | int | None, ...]:
    return (
        record.number,
        time_text(record.begun),
        None if record.ended is None else time_text(record.ended),
        " ".join(record.triggers),
        record.revision,
        int(record.dry_run),
        record.outcome,
        record.done,
        record.failed,
        record.message,
    )


def _record(row: tuple[Any, ...]) -> PassRecord:
    number, begun, ended, triggers, revision, dry_run, outcome, done, failed, message = row
    return PassRecord(
        number_of(number),
        time_of(text_of(begun)),
        None if ended is None else time_of(text_of(ended)),
        tuple(text_of(triggers).split()),
        text_of(revision),
        text_of(outcome),
        number_of(done),
        number_of(failed),
        text_of(message),
        bool(number_of(dry_run)),
    )
