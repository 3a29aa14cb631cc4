"""Takes a host into this fleet's hands for as long as its steps take, so that no other one of this machine changes it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from fleet.manifest.address import comparable
from fleet.state.leases import Lease, Leases
from fleet.state.memory import StateError

_LENGTH = timedelta(seconds=60)
"""How long a killed run keeps others waiting at most."""
_RENEWALS = 3
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()
"""Two names of one address in an inventory are two hosts to a pass: their steps take turns."""


@asynccontextmanager
async def leased(leases: Leases | None, url: str, now: Callable[[], datetime]) -> AsyncIterator[Lease | None]:
    """Nothing, with the host at `url` in this fleet's hands, once no other of its hosts has the same address in hand; or
    the lease of another fleet, with nothing taken.

    Without `leases` there is nobody else. Raises `StateError`.
    """
    if leases is None:
        yield None
        return
    key, holder = comparable(url), f"process {os.getpid()} on `{socket.gethostname()}`"
    async with _turn(key), _taken(leases, key, holder, now) as other:
        yield other


@asynccontextmanager
async def _taken(leases: Leases, key: str, holder: str, now: Callable[[], datetime]) -> AsyncIterator[Lease | None]:

    def take() -> Lease | None:
        at = now()
        return leases.take(key, holder, at, at + _LENGTH)

    async def renewed() -> None:
        while True:
            await asyncio.sleep(_LENGTH.total_seconds() / _RENEWALS)
            # Correctness does not rest on it, and what cannot be written is told by what has to be.
            with suppress(StateError):
                take()

    other = take()
    if other is not None:
        yield other
        return
    renewing = asyncio.ensure_future(renewed())
    try:
        yield None
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with suppress(StateError):
            leases.give_back(key)


def _turn(key: str) -> asyncio.Lock:
    return _turns.setdefault(asyncio.get_running_loop(), {}).setdefault(key, asyncio.Lock())
