"""When the next pass is due: at an interval by the monotonic clock, and at calendar times by the clock on the wall.

The heartbeat never hangs on the wall clock: setting that back an hour must not silence the daemon (`reliability.md` T1).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.codes import Code
from fleet.errors import InputError

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_FIELDS = 5
_STEP = timedelta(seconds=1)
_DAY = timedelta(days=1)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Heartbeat:
    """Moments of the monotonic clock, `interval` seconds apart, each earlier by a random part of `jitter` of it."""

    def __init__(self, interval: float, jitter: float, chance: Callable[[], float]) -> None:
        """`jitter` is a share from 0 to 1; `chance` gives numbers from 0 to 1."""
        self._interval = interval
        self._jitter = jitter
        self._chance = chance

    def after(self, moment: float) -> float:
        return moment + self._interval * (1 - self._jitter * self._chance())


class Calendar:
    """Times as crontab writes them: minute, hour, day of the month, month, day of the week; several by `;`."""

    def __init__(self, text: str, zone: str | None, now: datetime) -> None:
        """`now` has a zone; times are told from it on. Raises `InputError`."""
        self._zone = _zone(zone, now)
        self._triggers = tuple(_trigger(line.strip(), self._zone) for line in text.split(";") if line.strip())
        if not self._triggers:
            raise _wrong(text, "there is no time in it")
        self._looked = now.astimezone(UTC)
        self._coming = self._next(self._looked)
        # Kept, and not asked for anew: from within an hour that spring leaves out, its times would not be found.
        self._last: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Whether a time was reached since the last call. Times that were missed are one; one that comes twice, since
        the clock was set back or an hour is repeated in autumn, counts once.
        """
        now = now.astimezone(UTC)
        if now < self._looked:
            self._coming = self._next(now)
        self._looked = now
        found = False
        if self._coming is not None and self._coming < now - _DAY:
            # After a long sleep one of all those times is enough.
            self._coming, found = self._next(now - _DAY), True
        while self._coming is not None and self._coming <= now:
            if not self._again(self._coming):
                self._last, found = self._coming, True
            self._coming = self._next(self._coming + _STEP)
        return found

    def following(self, now: datetime) -> datetime | None:
        """The next time from `now` on; nothing where there is none in sight."""
        return self._next(now.astimezone(UTC))

    def _next(self, start: datetime) -> datetime | None:
        # In UTC, since two times of one zone are compared by the wall, and an hour that comes twice would be one.
        times = [trigger.get_next_fire_time(None, start.astimezone(self._zone)) for trigger in self._triggers]
        return min((max(time.astimezone(UTC), start) for time in times if time is not None), default=None)

    def _again(self, time: datetime) -> bool:
        """Whether it is the same time on the wall as the last one, or before that."""
        return self._last is not None and self._wall(time) <= self._wall(self._last)

    def _wall(self, time: datetime) -> datetime:
        return time.astimezone(self._zone).replace(tzinfo=None)


def _zone(name: str | None, now: datetime) -> tzinfo:
    if name is None:
        return now.astimezone().tzinfo or ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"`zone`: there is no time zone `{name[:80]}` on this machine",
            code=Code.SETTINGS_WRONG,
            hint="write it as `Europe/Berlin` or `UTC`; the system's package of zones may be missing",
        ) from error


def _trigger(line: str, zone: tzinfo) -> CronTrigger:
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415  # takes long to load

    parts = line.split()
    if len(parts) != _FIELDS:
        raise _wrong(line, f"there are five parts, as in `30 2 * * mon-fri`, and here {len(parts)}")
    minute, hour, day, month, weekday = parts
    if day != "*" and weekday != "*":
        raise _wrong(
            line,
            "crontab takes either of two days, and other programs both: name one, and the other in a line of its own",
        )
    try:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=_weekday(weekday), timezone=zone)
    except (ValueError, TypeError) as error:
        raise _wrong(line, str(error)) from error


def _weekday(text: str) -> str:
    """Days by their names: crontab counts from Sunday, which is 0 and 7, and the library from Monday."""
    parts = []
    for part in text.lower().split(","):
        days, slash, step = part.partition("/")
        first, dash, last = days.partition("-")
        if days == "*":
            parts.append(part)
            continue
        start = _day(first)
        end = _day(last) if dash else (6 if slash else start)
        if end < start:
            end += 7
        width = int(step) if slash and step.isdigit() and int(step) > 0 else 1
        parts.extend(_DAYS[number % 7] for number in range(start, end + 1, width))
    return ",".join(dict.fromkeys(parts))


def _day(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if text.isascii() and text.isdigit() and int(text) <= 7:
        return int(text)
    raise ValueError(f"`{text[:20]}` is no day of the week")


def _wrong(line: str, why: str) -> InputError:
    return InputError(
        f"`calendar`: `{line[:80]}`: {why}",
        code=Code.SETTINGS_WRONG,
        hint="minute, hour, day of the month, month, day of the week",
    )
