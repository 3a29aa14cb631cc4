"""The words, ages and shares that the page shows, as filters of its templates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from fleet.daemon.listener.documents import moment
from fleet.daemon.status import Condition, ItemStatus, Moving
from fleet.foreign import clean
from fleet.quantities import show_duration, show_size

MEANS = {
    Condition.READY: "as desired",
    Condition.PROGRESSING: "worked on, or tried again by itself",
    Condition.STALLED: "needs a person",
    Condition.BLOCKED: "cannot be had as declared",
    Condition.SUSPENDED: "left alone, as somebody said",
    Condition.UNKNOWN: "could not be looked at",
}

_REASONS = {
    "as-desired": "as desired",
    "not-observed": "could not be looked at",
    "held-back": "a guard holds it back",
    "trouble": "trouble with its registry or its check",
}

FAR = 10 * 365 * 86400
"""Seconds from which on a moment ahead is `for ever`: servers name the year 2318 for it."""


def age(seconds: float) -> str:
    """One unit is enough: `40s`, `12m`, `5h`, `3d`. The page's script says the same."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(seconds, 0))}s"


def between(now: datetime, at: datetime) -> float:
    """Seconds from `now` to `at`, negative for the past."""
    return (at - now).total_seconds()


def ago(at: datetime, now: datetime) -> str:
    return f"{age(-between(now, at))} ago"


def lasting(at: datetime, now: datetime) -> str:
    """How long something has been so."""
    return age(-between(now, at))


def ahead(at: datetime, now: datetime) -> str:
    seconds = between(now, at)
    if seconds > FAR:
        return "for ever"
    return "now" if seconds < 1 else f"in {age(seconds)}"


def exact(at: datetime) -> str:
    """For the attribute `datetime`."""
    return moment(at)


def in_full(at: datetime) -> str:
    """`2026-03-01 12:00:00 UTC`, told when somebody points at an age."""
    if at.tzinfo is not UTC:
        return moment(at).replace("T", " ").replace("Z", " UTC")
    return f"{at.isoformat(sep=' ')[:19]} UTC"


def lasted(begun: datetime, ended: datetime) -> str:
    seconds = max(between(begun, ended), 0)
    return show_duration(seconds if seconds < 10 else round(seconds))


def why(item: ItemStatus) -> str:
    """Why an item is not as desired, or what is to be known of one that is."""
    told = clean(item.message or reason(item.reason))
    return f"{told} ({item.code.id})" if item.code is not None and item.code.id not in told else told


def reason(word: str) -> str:
    """A word of a closed set as people read it."""
    return _REASONS.get(word) or clean(word).replace("-", " ")


def words(text: object, limit: int = 512) -> str:
    """Foreign text: cleaned here once more, and escaped by the template."""
    return clean(str(text), limit)


def size(count: int | None) -> str:
    return "" if count is None else show_size(count)


def share(part: int | None, whole: int | None) -> float | None:
    """Percent, between 0 and 100; nothing where the whole is not known."""
    if part is None or not whole:
        return None
    return round(min(max(part / whole, 0.0), 1.0) * 100, 1)


def moved(moving: Moving) -> str:
    """`1.2 GB of 4.7 GB`."""
    if moving.completed is None:
        return ""
    return (
        f"{show_size(moving.completed)} of {show_size(moving.total)}" if moving.total else show_size(moving.completed)
    )


def rate(moving: Moving) -> str:
    return f"{show_size(round(moving.rate))}/s" if moving.rate else ""


def left(moving: Moving) -> str:
    """How long the rest takes at this rate; empty where that cannot be said."""
    if not moving.rate or moving.total is None or moving.completed is None:
        return ""
    seconds = max(moving.total - moving.completed, 0) / moving.rate
    return "" if seconds > FAR else f"{age(seconds)} left"


def revision(text: str) -> str:
    """A commit or a fingerprint, as short as Git shows it."""
    cleaned = clean(text, 100)
    plain = cleaned.removeprefix("sha256:")
    hexadecimal = len(plain) >= 40 and all(letter in "0123456789abcdef" for letter in plain)
    return plain[:10] if hexadecimal else cleaned


def labels(given: Mapping[str, str]) -> list[str]:
    return [f"{clean(name, 80)}={clean(value, 80)}" for name, value in sorted(given.items())]
