"""Secrets that a command of the operator tells (`credential_command`): asked for one at a time, and kept for a while.

The command stands in the settings alone, so nobody who writes manifests or an inventory can have one run. What it writes
is a secret, or may be one, and is never shown.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from fleet.codes import Code
from fleet.errors import HostUnreachable
from fleet.foreign import clean
from fleet.ollama.hidden import Hidden
from fleet.program import Failed, run

WITHIN = 10.0
"""Seconds that one call may take."""
KEPT = 300.0
"""Seconds for which a secret is used without another call, unless a host refuses it."""
AGAIN = 30.0
"""Seconds for which a command is not called again after it failed, or after hosts refused what it told: a thousand hosts
must not wait for it one after the other.
"""
_LONGEST = 64 << 10
_GIVEN = ("PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR")
"""Variables that the command gets; others may hold the secrets of other hosts."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a command said of one name, when, and until when that holds. `why`: what went wrong the last time."""

    secret: Hidden | None
    why: str
    at: float
    until: float


_TOLD: dict[tuple[str, str], _Told] = {}
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def ask(command: str, name: str, *, within: float = WITHIN, clock: Callable[[], float] = time.monotonic) -> None:
    """Sees to it that `known` has what `command` tells when it is called with `name` behind its own arguments.

    A secret that was told before stays in use while the command fails. Raises `HostUnreachable` where there is none.
    """
    async with _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        told = _TOLD.get((command, name))
        if told is None or clock() >= told.until:
            told = _TOLD[command, name] = await _called(command, name, told, within, clock)
    if told.secret is None:
        raise HostUnreachable(
            f"`credential_command` told no secret for `{clean(name)}`: {told.why}",
            code=Code.CREDENTIALS_UNREADABLE,
            hint=f"run it as fleet's user with `{clean(name)}` as its last argument: it is to write the secret alone",
        )


def known(command: str, name: str) -> Hidden | None:
    """What the command told."""
    told = _TOLD.get((command, name))
    return told.secret if told is not None else None


def refused(command: str, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
    """For a host that refused the secret: the command is called again at the next use, if it is not just told."""
    told = _TOLD.get((command, name))
    if told is not None and clock() - told.at >= AGAIN:
        del _TOLD[command, name]


async def _called(command: str, name: str, before: _Told | None, within: float, clock: Callable[[], float]) -> _Told:
    environment = {each: os.environ[each] for each in _GIVEN if each in os.environ}
    try:
        written = await run(
            [*shlex.split(command), name],
            folder=Path("/"),
            environment={"LC_ALL": "C", **environment},
            timeout=within,
            most=_LONGEST,
            shown=False,
        )
        if written.strip():
            return _Told(Hidden(written), "", clock(), clock() + KEPT)
        why = "it wrote nothing"
    except Failed as error:
        why = str(error)
    return _Told(before.secret if before else None, why, clock(), clock() + AGAIN)
