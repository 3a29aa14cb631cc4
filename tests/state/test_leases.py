"""Who may change the host at an address: one of several fleets that share a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.state.leases import Leases

URL = "http://alpha:11434"
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_the_second_fleet_is_told_who_has_the_host_until_it_is_given_back(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        assert one.take(URL, "process 7", NOON, NOON + MINUTE) is None
        held = two.take(URL, "process 8", NOON, NOON + MINUTE)
        assert held is not None
        assert (held.fleet, held.holder, held.since) == ("one", "process 7", NOON)
        one.give_back(URL)
        assert two.take(URL, "process 8", NOON, NOON + MINUTE) is None


def test_a_lease_that_is_over_is_anybodys(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        one.take(URL, "process 7", NOON, NOON + MINUTE)
        assert two.take(URL, "process 8", NOON + MINUTE, NOON + 2 * MINUTE) is None


def test_a_lease_of_a_clock_that_ran_ahead_keeps_nobody_away(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        ahead = NOON + timedelta(days=2000)
        one.take(URL, "process 7", ahead, ahead + MINUTE)
        assert two.take(URL, "process 8", NOON, NOON + MINUTE) is None


def test_a_clock_that_is_set_back_a_little_ends_no_lease(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        one.take(URL, "process 7", NOON, NOON + MINUTE)
        assert two.take(URL, "process 8", NOON - MINUTE / 2, NOON + MINUTE / 2) is not None


def test_what_is_not_ours_is_not_given_back(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        one.take(URL, "process 7", NOON, NOON + MINUTE)
        two.give_back(URL)
        assert two.take(URL, "process 8", NOON, NOON + MINUTE) is not None


def test_a_fleet_renews_its_own_lease_and_keeps_its_begin(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        one.take(URL, "process 7", NOON, NOON + MINUTE)
        one.take(URL, "process 9", NOON + MINUTE / 2, NOON + 3 * MINUTE)
        held = two.take(URL, "process 8", NOON + 2 * MINUTE, NOON + 4 * MINUTE)
        assert held is not None
        assert (held.holder, held.since) == ("process 9", NOON)


def test_what_a_killed_run_left_is_given_back_at_the_next_start_and_nobody_elses(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one, Leases(str(tmp_path), "two") as two:
        one.take(URL, "process 7", NOON, NOON + MINUTE)
        two.take("http://beta:11434", "process 8", NOON, NOON + MINUTE)
        one.give_back_all()
        assert two.take(URL, "process 8", NOON, NOON + MINUTE) is None
        assert one.take("http://beta:11434", "process 9", NOON, NOON + MINUTE) is not None


def test_giving_back_makes_nothing_where_nothing_is(tmp_path: Path) -> None:
    with Leases(str(tmp_path), "one") as one:
        one.give_back_all()
    assert not list(tmp_path.iterdir())
