"""The daemon's own process with something done to it that a test cannot do from outside: `python driven.py WHAT ARGUMENT …`.

`blocked` holds its event loop up for three seconds at each SIGUSR1; `set-back` has its wall clock go back by an hour then,
`set-forward` on by a day; `asleep` has slept for an hour, which only the clock of the boot counts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

from fleet.daemon.backoff import Clocks
from fleet.daemon.logs import configure_for
from fleet.daemon.service import serve
from fleet.settings import resolve

steps: list[timedelta] = []
"""By which the wall clock was set back."""


def now() -> datetime:
    return datetime.now(UTC) - sum(steps, timedelta(0))


naps: list[float] = []
"""For how many seconds it slept."""


async def main() -> int:
    done = {
        "blocked": lambda: time.sleep(3),
        "set-back": lambda: steps.append(timedelta(hours=1)),
        "set-forward": lambda: steps.append(timedelta(days=-1)),
        "asleep": lambda: naps.append(3600.0),
    }[sys.argv[1]]
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, done)
    settings = resolve(environment=os.environ).settings
    with configure_for(sys.stderr, os.environ) as log:
        return await serve(settings, log, os.environ, "0", Clocks(time.monotonic, now, lambda: sum(naps)))


sys.exit(asyncio.run(main()))
