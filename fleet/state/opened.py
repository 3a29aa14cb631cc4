"""What everything that keeps rows in the database has in common: it is opened when it is used, and closed at the end."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from fleet.state.database import Database


class Opened:
    """A context around a database, which whoever derives from it puts into `_database`."""

    _database: Database

    def close(self) -> None:
        """Nothing is lost by it, nor without it; another use opens the file again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
