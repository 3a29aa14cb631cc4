"""What the database library tells, as what an operator can act on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fleet.state.folder import StateError, unusable

if TYPE_CHECKING:
    import sqlite3


class Damaged(Exception):
    """The file is none that fleet wrote, or not as fleet wrote it. The message says how that shows."""


_BUSY = {5: "another process keeps it busy", 6: "another process keeps it busy"}
_DISK = {10: "it could not be read or written", 13: "the disk is full"}
_ACCESS = {3: "no permission", 8: "it cannot be written", 14: "it cannot be opened", 15: "it cannot be locked"}
_ELSE = {7: "not enough memory", 22: "it is too large for this system"}
"""By primary result code; every other one says that the file's content is not what it has to be."""


def translated(error: sqlite3.Error, path: Path) -> StateError | Damaged:
    """`StateError` where the file may be whole and something else is in the way."""
    if not hasattr(error, "sqlite_errorcode"):
        return Damaged("it holds texts that are none")
    code = error.sqlite_errorcode & 0xFF
    if code in _BUSY:
        return unusable(path, _BUSY[code], "let the other run end, and look for one that hangs; then try again")
    if code in _DISK:
        return unusable(
            path,
            f"{_DISK[code]} ({error})",
            "see to that disk: space, quota, faults in the system's log; what was recorded before is still there",
        )
    if code in _ACCESS or code in _ELSE:
        return unusable(path, f"{(_ACCESS | _ELSE)[code]} ({error})")
    return Damaged(_clean(str(error)))


def _clean(text: str) -> str:
    """The library may cite what the file holds."""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
