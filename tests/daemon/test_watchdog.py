"""When a sign of life is given: on a clock and a sleep of the test's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from fleet.daemon.watchdog import LAG_LIMIT, InFlight, LagProbe, Pulse, feed, why_not

WELL = Pulse(lag=0.01, begun=1000.0, interval=300.0)


class Time:
    """A monotonic clock that moves by being slept on; `ends` is when the test is over."""

    def __init__(self, ends: float, *, late: Callable[[float], float] = lambda _: 0.0) -> None:
        self.now = 0.0
        self._ends = ends
        self._late = late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """By `late`, timers fire later than they were set."""
        self.now += seconds + self._late(self.now)
        if self.now >= self._ends:
            raise asyncio.CancelledError


class Heard:
    """What a service manager would hear, with the moment."""

    def __init__(self, clock: Time, interval: float | None) -> None:
        self.watchdog_interval = interval
        self.told = "3 of 3 items as desired"
        self.alive: list[float] = []
        self.statuses: list[tuple[float, str]] = []
        self._clock = clock

    def status(self, text: str) -> None:
        self.told = text
        self.statuses.append((self._clock.now, text))

    def watchdog(self) -> None:
        self.alive.append(self._clock.now)


def run_feed(pulse: Callable[[float], Pulse], *, ends: float, interval: float | None = 30.0) -> Heard:
    clock = Time(ends)
    heard = Heard(clock, interval)
    with suppress(asyncio.CancelledError):
        asyncio.run(feed(heard, lambda: pulse(clock.now), clock, clock.sleep))
    return heard


@pytest.mark.parametrize(
    ("pulse", "now", "reason"),
    [
        (WELL, 1000.0, None),
        (WELL, 1600.0, None),
        (WELL, 1601.0, "no pass began for 10m1s, and one is due every 5m"),
        (replace(WELL, lag=LAG_LIMIT), 1000.0, None),
        (replace(WELL, lag=LAG_LIMIT + 0.5), 1000.0, "the event loop is 5.5s late"),
        (replace(WELL, lag=0.3, lag_limit=0.25), 1000.0, "the event loop is 300ms late"),
        (replace(WELL, in_flight=(InFlight("pull a on b"), InFlight("load c on d", 1100.0))), 1100.0, None),
        (
            replace(WELL, in_flight=(InFlight("load c on d", 1090.0), InFlight("copy e\nREADY=1", 1040.0))),
            1100.0,
            "1m past its deadline: copy e\\x0aREADY=1",
        ),
    ],
)
@pytest.mark.fault("K16")
def test_why_there_is_no_sign_of_life(pulse: Pulse, now: float, reason: str | None) -> None:
    assert why_not(pulse, now) == reason


def test_signs_of_life_while_all_is_well() -> None:
    heard = run_feed(lambda now: replace(WELL, begun=now), ends=100)
    assert (heard.alive, heard.statuses) == ([0, 30, 60, 90], [])


def test_nobody_waits_for_signs_of_life() -> None:
    heard = run_feed(lambda now: replace(WELL, begun=now), ends=100, interval=None)
    assert heard.alive == []


@pytest.mark.invariant("E21")
@pytest.mark.fault("K16")
def test_none_once_passes_stop_and_the_status_says_why() -> None:
    heard = run_feed(lambda _: replace(WELL, begun=0, interval=20), ends=62)
    assert heard.alive == [0, 30]
    assert heard.statuses == [
        (60, "no sign of life: no pass began for 1m, and one is due every 20s"),
        (61, "no sign of life: no pass began for 1m1s, and one is due every 20s"),
    ]


def test_a_short_trouble_costs_no_whole_interval() -> None:
    # At the moment of the second sign the loop is late for 3 s: the next one is not half a minute later.
    heard = run_feed(lambda now: replace(WELL, begun=now, lag=9.0 if 29 < now < 33 else 0.0), ends=80)
    assert heard.alive == [0, 33, 63]
    assert [text for _, text in heard.statuses] == [
        *["no sign of life: the event loop is 9s late"] * 3,
        "3 of 3 items as desired",
    ]


def test_a_status_that_was_told_meanwhile_is_not_overwritten() -> None:
    clock = Time(80)
    heard = Heard(clock, 30.0)

    def pulse() -> Pulse:
        if clock.now == 31:
            heard.status("a pass ended")
        return replace(WELL, begun=clock.now, lag=9.0 if clock.now == 30 else 0.0)

    with suppress(asyncio.CancelledError):
        asyncio.run(feed(heard, pulse, clock, clock.sleep))
    assert heard.statuses == [(30, "no sign of life: the event loop is 9s late"), (31, "a pass ended")]


def probed(late: Callable[[float], float], *, ends: float) -> tuple[LagProbe, Time]:
    clock = Time(ends, late=late)
    probe = LagProbe(clock, clock.sleep)
    with suppress(asyncio.CancelledError):
        asyncio.run(probe.run())
    return probe, clock


def test_a_loop_in_time() -> None:
    probe, _ = probed(lambda _: 0.001, ends=30)
    assert probe.worst() == pytest.approx(0.001)
    assert probe.p99() == pytest.approx(0.001)


def test_before_anything_was_measured() -> None:
    clock = Time(1)
    probe = LagProbe(clock, clock.sleep)
    clock.now = 500.0
    assert (probe.now(), probe.worst(), probe.p99()) == (0, 0, 0)


def test_one_late_timer_among_hundreds() -> None:
    probe, _ = probed(lambda now: 0.2 if now == 10 else 0.0, ends=60)
    assert probe.worst() == pytest.approx(0.2)
    assert probe.p99() == 0


@pytest.mark.fault("K10")
def test_a_hold_up_counts_by_its_length_and_is_forgotten_after_a_minute() -> None:
    probe, clock = probed(lambda now: 10.0 if now == 20 else 0.0, ends=60)
    assert probe.worst() == pytest.approx(10)
    # A sixth of the minute was held up: whoever set timers then waited for up to ten seconds.
    assert probe.p99() > 9
    clock.now = 120
    assert (probe.worst(), probe.p99()) == (0, 0)


def test_a_timer_that_is_still_pending_counts() -> None:
    probe, clock = probed(lambda _: 0.0, ends=30)
    assert probe.now() == pytest.approx(0, abs=0.001)
    clock.now += 7
    assert probe.now() == pytest.approx(7, abs=0.5)


@pytest.mark.fault("K10", "K16")
def test_a_real_loop_that_is_blocked_on_purpose() -> None:
    async def blocked() -> float:
        probe = LagProbe(time.monotonic, asyncio.sleep)
        async with asyncio.TaskGroup() as group:
            measuring = group.create_task(probe.run())
            await asyncio.sleep(0)
            time.sleep(LagProbe.EVERY + 0.1)  # noqa: ASYNC251  # this is the blocking
            late = probe.now()
            measuring.cancel()
        return late

    assert asyncio.run(blocked()) >= 0.09
