"""What stands in one cell of a row: written from a value, and read back without trusting it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

Cell = str | int | None


def text_of(cell: object) -> str:
    """Raises `TypeError` for what is no text."""
    if not isinstance(cell, str):
        raise TypeError("a text is none")
    return cell


def number_of(cell: object) -> int:
    """Raises `TypeError` for what is no whole number."""
    if not isinstance(cell, int):
        raise TypeError("a number is none")
    return cell


def sound(told: str, most: int | None = None) -> str:
    """What somebody said, without halves of characters, which no file can hold; at most `most` characters of it."""
    text = told.encode(errors="replace").decode()
    return text if most is None or len(text) <= most else text[: most - 1] + "…"


def time_text(at: datetime) -> str:
    """ISO 8601 in UTC: in the order of letters, earlier times come first."""
    return at.astimezone(UTC).isoformat()


@lru_cache(maxsize=4096)
def time_of(text: str) -> datetime:
    """Raises `ValueError` for what `time_text` never wrote."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at
