"""What a worker says while it pulls, pushes or creates: lines of progress, and failures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error. `status` is that of the reply where the error comes first; none is 500."""

    text: str
    status: int | None = None


Event = Line | Failure
Worker = AsyncIterator[Event]


def progress(status: str, *, digest: str = "", total: int = 0, completed: int = 0) -> Line:
    """A line of progress; zeros and empty texts are left out."""
    line: Line = {"status": status}
    line |= {key: value for key, value in (("digest", digest), ("total", total), ("completed", completed)) if value}
    return line
