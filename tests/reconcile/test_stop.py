"""A wish to stop: long calls get their time of grace, then are left alone; short ones end by themselves."""

from __future__ import annotations

import asyncio

import pytest

from fleet.codes import Code
from fleet.errors import ExitCode, OutcomeUnknown
from fleet.reconcile.stop import Stop


def test_a_call_goes_on_while_nobody_asks() -> None:
    async def scene() -> None:
        stop = Stop()
        assert await stop.heed(asyncio.sleep(0, "answer"), 0) == "answer"
        assert not stop.requested
        assert stop.exit_code is None

    asyncio.run(scene())


@pytest.mark.fault("K1")
def test_a_call_that_ends_within_the_grace_counts() -> None:
    async def scene() -> None:
        stop = Stop()
        stop.request()
        assert await stop.heed(asyncio.sleep(0, "answer"), 60) == "answer"

    asyncio.run(scene())


@pytest.mark.fault("K1")
def test_a_call_that_does_not_end_is_left_and_its_end_unknown() -> None:
    left: list[str] = []

    async def long_call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append("left")

    async def scene() -> None:
        stop = Stop()
        asyncio.get_running_loop().call_soon(stop.request)
        with pytest.raises(OutcomeUnknown) as unknown:
            await stop.heed(long_call(), 0)
        assert unknown.value.code is Code.INTERRUPTED
        assert left == ["left"]

    asyncio.run(scene())


def test_what_the_call_raises_is_raised() -> None:
    async def failing() -> None:
        raise KeyError("its own")

    async def scene() -> None:
        with pytest.raises(KeyError, match="its own"):
            await Stop().heed(failing(), 0)

    asyncio.run(scene())


def test_a_cancelled_wait_takes_the_call_along() -> None:
    left: list[str] = []

    async def long_call() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            left.append("left")
            raise

    async def scene() -> None:
        waiting = asyncio.ensure_future(Stop().heed(long_call(), 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert left == ["left"]

    asyncio.run(scene())


def test_the_first_signal_decides_the_exit_code() -> None:
    async def scene() -> None:
        stop = Stop()
        stop.request(ExitCode.TERMINATED)
        stop.request(ExitCode.INTERRUPTED)
        assert stop.requested
        assert stop.exit_code is ExitCode.TERMINATED

    asyncio.run(scene())
