"""A machine that slept: noticed once for each sleep, whatever timers and wall clocks say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest

from fleet.daemon.backoff import Clocks, slept
from fleet.daemon.sleeping import EVERY, mind


class Over(Exception):
    """The end of the time that is told."""


def woken(asleep: Iterable[float]) -> list[int]:
    """At which of the looks it was noticed, where the machine had slept for so many seconds in all at each of them."""
    told = iter(asleep)
    noticed: list[int] = []
    looks = -1

    def slept_by_now() -> float:
        nonlocal looks
        looks += 1
        try:
            return next(told)
        except StopIteration:
            raise Over from None

    async def sleep(seconds: float) -> None:
        assert seconds == EVERY

    with pytest.raises(Over):
        asyncio.run(mind(slept_by_now, sleep, lambda: noticed.append(looks)))
    return noticed


@pytest.mark.fault("T3")
def test_each_sleep_is_noticed_once() -> None:
    assert woken([0, 0, 3600, 3600, 3600, 3606, 3606]) == [2, 5]


@pytest.mark.fault("T3")
def test_what_it_slept_before_the_start_and_what_clocks_differ_by_is_no_sleep() -> None:
    assert woken([86_400, 86_400, 86_400.004, 86_399.99, 86_401, 86_402]) == []


def test_the_clock_of_the_boot_is_the_one_that_is_asked() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    assert slept() == pytest.approx(before, abs=0.5)
    assert Clocks(time.monotonic, lambda: pytest.fail("nobody asks")).asleep is slept
