"""`make fuzz`: runs targets by coverage-guided fuzzing, each for some seconds, from the seeds on, two at a time.

    python -m tests.fuzz.run SECONDS [TARGET ...]

An input that a target does not survive is written to the folder that is named then, and belongs to the seeds once it is
mended. Each target runs in a process of its own, with limits for its memory and for one input.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

READERS = [
    "fleet.daemon.hooks",
    "fleet.endpoint",
    "fleet.foreign",
    "fleet.manifest",
    "fleet.names",
    "fleet.ollama",
    "fleet.reconcile.rehearsing.snapshot_file",
    "fleet.reconcile.saved",
    "fleet.registry",
    "fleet.state",
    "fleet.weights",
]
"""What the fuzzer watches, to find inputs that take other ways through it."""
LONGEST = 4 << 10
"""Bytes of an input: headers are small, and small ones are tried faster."""
SECONDS_EACH = 5
"""For one input, before it counts as a hang; some readers do a hundred thousand in that time."""
MEMORY = 768
"""MiB, with what the fuzzer itself keeps."""
AT_ONCE = 2


def run(name: str, seconds: str, found: str) -> None:
    """Never comes back: the fuzzer ends the process."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=READERS):
        targets = import_module("tests.fuzz.targets")
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={SECONDS_EACH}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={found}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, found, str(targets.SEEDS / name)], targets.TARGETS[name])
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    if arguments[0] == "--inside":
        run(*arguments[1:])
        return 0
    seconds, *names = arguments
    from tests.fuzz.targets import TARGETS

    with ThreadPoolExecutor(AT_ONCE) as pool:
        survived = list(pool.map(lambda name: fuzzed(name, seconds), names or TARGETS))
    return 0 if all(survived) else 1


def fuzzed(name: str, seconds: str) -> bool:
    """Whether the target survived. What the fuzzer said is shown together, at its end."""
    found = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    command = [sys.executable, "-m", "tests.fuzz.run", "--inside", name, seconds, found]
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    executed = re.search(r"number_of_executed_units: *([0-9]+)", ended.stdout)
    if ended.returncode == 0:
        print(f"{name}: survived {int(executed[1]) if executed else 0:,} inputs in {seconds} s", flush=True)
        shutil.rmtree(found)
        return True
    crashes = ", ".join(str(path) for path in sorted(Path(found).glob(f"{name}-*")))
    print(f"{ended.stdout}\nerror: `{name}` did not survive: {crashes}", file=sys.stderr, flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
