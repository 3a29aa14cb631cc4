"""`make fuzz`: runs targets by coverage-guided fuzzing, each for some seconds, from the seeds on.

    python -m tests.fuzz.run SECONDS [TARGET ...]

Ends at the first input that a target does not survive: it is written to the folder that is named then, and belongs to
the seeds once it is mended. Each target runs in a process of its own, with limits for its memory and for one input.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

READERS = [
    "fleet.weights.front",
    "fleet.weights.gguf",
    "fleet.weights.safetensors",
    "fleet.manifest.modelfile",
    "fleet.manifest.modelfile_lines",
    "fleet.manifest.modelfile_parameters",
]
"""What the fuzzer watches, to find inputs that take other ways through it."""
LONGEST = 4 << 10
"""Bytes of an input: headers are small, and small ones are tried faster."""
SECONDS_EACH = 5
"""For one input, before it counts as a hang; some readers do a hundred thousand in that time."""
MEMORY = 512
"""MiB, with what the fuzzer itself keeps."""


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
    for name in names or ["gguf", "safetensors", "modelfile"]:
        print(f"fuzzing {name} for {seconds} s", flush=True)
        found = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
        command = [sys.executable, "-m", "tests.fuzz.run", "--inside", name, seconds, found]
        ended = subprocess.run(command, check=False)
        if ended.returncode:
            crashes = ", ".join(str(path) for path in sorted(Path(found).glob(f"{name}-*")))
            print(f"error: `{name}` did not survive: {crashes}", file=sys.stderr)
            return 1
        shutil.rmtree(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
