"""When passes are due: by an interval, and by times that a calendar names."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fleet.daemon.schedule import Calendar, Heartbeat
from fleet.errors import InputError

BERLIN = ZoneInfo("Europe/Berlin")


def fired(calendar: Calendar, start: datetime, *, minutes: int, step: int = 1) -> list[str]:
    """The moments at which a look every `step` minutes finds something due."""
    found, now = [], start
    for _ in range(0, minutes, step):
        now = (now.astimezone(ZoneInfo("UTC")) + timedelta(minutes=step)).astimezone(BERLIN)
        if calendar.due(now):
            found.append(now.strftime("%a %H:%M %Z"))
    return found


@pytest.mark.fault("K12")
def test_jitter_only_ever_shortens() -> None:
    assert Heartbeat(100.0, 0.1, lambda: 0.0).after(5.0) == 105.0
    assert Heartbeat(100.0, 0.1, lambda: 1.0).after(5.0) == 95.0


def test_days_of_the_week_count_from_sunday_as_crontab_does() -> None:
    # The 4th of January 2026 is a Sunday.
    start = datetime(2026, 1, 4, 0, 0, tzinfo=BERLIN)
    for text in ("30 2 * * 0", "30 2 * * 7", "30 2 * * sun"):
        assert fired(Calendar(text, "Europe/Berlin", start), start, minutes=3 * 1440, step=10) == ["Sun 02:30 CET"]
    weekdays = fired(Calendar("0 9 * * 1-5", "Europe/Berlin", start), start, minutes=7 * 1440, step=20)
    assert [when[:3] for when in weekdays] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    weekend = fired(Calendar("0 9 * * fri-sun", "Europe/Berlin", start), start, minutes=7 * 1440, step=20)
    assert [when[:3] for when in weekend] == ["Sun", "Fri", "Sat"]


def test_an_hour_that_comes_twice_in_autumn_counts_once() -> None:
    start = datetime(2026, 10, 25, 0, 0, tzinfo=BERLIN)
    assert fired(Calendar("30 2 * * *", "Europe/Berlin", start), start, minutes=360) == ["Sun 02:30 CEST"]


def test_an_hour_that_spring_leaves_out_is_made_up_for_once() -> None:
    start = datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN)
    assert len(fired(Calendar("30 2 * * *", "Europe/Berlin", start), start, minutes=360)) == 1


@pytest.mark.fault("K12", "T2")
def test_times_that_were_missed_are_one() -> None:
    start = datetime(2026, 1, 5, 0, 0, tzinfo=BERLIN)
    calendar = Calendar("*/5 * * * *", "Europe/Berlin", start)
    assert calendar.due(start + timedelta(hours=9))
    assert not calendar.due(start + timedelta(hours=9, seconds=1))
    assert calendar.due(start + timedelta(hours=9, minutes=5))


@pytest.mark.fault("K12", "T1")
def test_a_clock_set_back_repeats_nothing_and_silences_nothing() -> None:
    start = datetime(2026, 1, 5, 2, 0, tzinfo=BERLIN)
    calendar = Calendar("30 2 * * *; 30 3 * * *", "Europe/Berlin", start)
    assert calendar.due(start + timedelta(minutes=31))
    back = start - timedelta(minutes=30)
    assert fired(calendar, back, minutes=150) == ["Mon 03:30 CET"]


def test_the_next_time_is_told() -> None:
    start = datetime(2026, 1, 5, 2, 0, tzinfo=BERLIN)
    following = Calendar("0 4 * * *; 30 3 * * *", "Europe/Berlin", start).following(start)
    assert following == start + timedelta(minutes=90)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 3 * *", "five parts"),
        ("", "no time"),
        ("61 3 * * *", "61"),
        ("0 3 * * fry", "`fry` is no day of the week"),
        ("0 3 1 * mon", "name one"),
    ],
)
def test_what_is_no_time(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        Calendar(text, "UTC", datetime(2026, 1, 5, tzinfo=BERLIN))


def test_a_zone_that_is_none() -> None:
    with pytest.raises(InputError, match="no time zone `Mars/Base`"):
        Calendar("0 3 * * *", "Mars/Base", datetime(2026, 1, 5, tzinfo=BERLIN))
