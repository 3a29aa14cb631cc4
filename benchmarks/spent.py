"""What a piece of work cost the process that does it; each side of a comparison prints this as one line of JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def spent() -> Iterator[None]:
    """Prints CPU and wall time of the block in seconds, and the highest memory of the process before it and at its end
    in bytes.
    """
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    yield
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": after.ru_maxrss * unit, "idle": before.ru_maxrss * unit}))
