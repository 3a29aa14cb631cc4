"""The last manifests that were good, as one text: what stays in force while newer ones are wrong or cannot be had."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fleet.codes import Code
from fleet.quantities import exact_size
from fleet.state.apart import Apart
from fleet.state.cells import sound, text_of, time_of, time_text
from fleet.state.folder import StateError
from fleet.state.packing import packed, unpacked
from fleet.state.rows import Table

if TYPE_CHECKING:
    import sqlite3

_LARGEST = 8 << 20
"""Bytes, deflated."""
_LONGEST = 256 << 20
"""Bytes of the text itself."""

_GOOD = Table("last_good", (), ("packed", "revision", "at"))


class LastGood(Apart):
    """Of the fleet called `name`. What the text says is its owner's business; it holds no secrets."""

    what = "the last good manifests that fleet kept"
    tables = (_GOOD,)

    def __init__(self, folder: str, name: str, largest: int = _LARGEST) -> None:
        """`largest` is how many bytes the text may take, deflated."""
        super().__init__(folder, name)
        self._largest = largest

    def keep(self, text: str, revision: str, at: datetime) -> None:
        """In place of the former one; the same text of the same revision is not written anew. Raises `StateError`,
        also for a text that is too long to be kept; the former one stays then.
        """
        small = packed(text, self._largest, _LONGEST)
        if small is None:
            raise StateError(
                f"the manifests are too large to be kept as the last good ones: more than"
                f" {exact_size(self._largest)} deflated",
                code=Code.STATE_UNUSABLE,
                hint="they are in force all the same, as long as this process runs",
            )
        revision = sound(revision, 200)
        there = self._read(lambda connection: next(self._rows(connection, _GOOD), None), None)
        if there is None or (there[0], there[1]) != (small, revision):
            self._write(lambda connection: self._put(connection, _GOOD, (small, revision, time_text(at))))

    def read(self) -> tuple[str, str, datetime] | None:
        """Text, revision, and since when; nothing where none was kept, or, with a note, where it is damaged.

        Raises `StateError`.
        """

        def ask(connection: sqlite3.Connection) -> tuple[str, str, datetime] | None:
            for row in self._rows(connection, _GOOD):
                try:
                    return unpacked(row[0], _LONGEST), text_of(row[1]), time_of(text_of(row[2]))
                except (ValueError, TypeError):
                    self._misread(_GOOD, row)
            return None

        return self._read(ask, None)
