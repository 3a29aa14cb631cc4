"""Run in a user and mount namespace: `on_a_full_disk.py STATE FILLED_AT COMMAND …`, with STATE as a disk of its own.

Runs the command, whose output are JSON lines, and fills that disk to the last byte when a step on the model FILLED_AT has
begun to move; then once more while it is full, and once with room again. Tells what came of the three.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def main(state: Path, filled_at: str, command: list[str]) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "none", str(state)], check=True)
    filler = state / "filler"
    told: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stderr is not None
        lines = []
        for line in first.stdout:
            lines.append(json.loads(line))
            if lines[-1]["type"] == "step-moved" and lines[-1]["model"] == filled_at and not filler.exists():
                fill(filler)
        told.append({"lines": lines, "stderr": first.stderr.read()})
    told[0]["code"] = first.returncode
    for full in (True, False):
        # What was kept beside the database while that was open is free again.
        fill(filler) if full else filler.unlink()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told.append(
            {"code": done.returncode, "lines": list(map(json.loads, done.stdout.splitlines())), "stderr": done.stderr}
        )
    json.dump(told, sys.stdout)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
