"""What the loop asks of a source of manifests, whatever kind it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from fleet.codes import Code
from fleet.daemon.source.reading import Snapshot
from fleet.errors import FleetError


class SourceUnreachable(FleetError):
    """The manifests could not be had; the last good ones stay in force, and the next look may succeed."""

    def __init__(self, message: str, *, hint: str | None = None, code: Code = Code.SOURCE_UNREACHABLE) -> None:
        super().__init__(message, code=code, hint=hint)


class Source(Protocol):
    """One place that manifests come from."""

    @property
    def what(self) -> str:
        """For people, without credentials: folders, or a repository with ref and path."""

    async def look(self) -> Snapshot:
        """What it says now, read anew. Looks at the same time come one after the other.

        Raises `InputError` for what is wrong as written, with every fault; `SourceUnreachable`; and `StateError`.
        """

    def changes(self) -> AsyncGenerator[str, None]:
        """Never ends; `files` or `git` each time that another look may find something else. To be closed by the caller
        (`contextlib.aclosing`).
        """

    def moved(self) -> None:
        """Somebody announced a change: `changes` is to find out at once."""

    def concerns(self, ref: str) -> bool:
        """Whether a push to this ref (`refs/heads/main`) can change anything here."""
