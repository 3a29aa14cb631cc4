"""The command in a process that is killed just before one of its effects, all of which are numbered as they come.

An effect is what others see or what is there after the process: a request to a host or a registry, an answer that began
(streams say in their middle that they have), a block of an upload, a transaction of the record, a file made, renamed or
taken away. The product announces requests, answers, blocks and transactions to the interpreter's audit hooks
(`sys.audit`), which the interpreter itself tells of files; without a hook that costs nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

from tests.preloaded import main

BEFORE = "TESTS_DIE_BEFORE"
"""The number of the effect that is not carried out any more; 0 for none."""
TOLD = "TESTS_EFFECTS"
"""The file to which effects are written, a line each."""

_ANNOUNCED = frozenset({"fleet.request", "fleet.answer", "fleet.block", "fleet.commit"})
_FILES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "sqlite3.connect"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def effect(event: str, arguments: tuple[object, ...], folder: str) -> str | None:
    """What it is, in words; nothing for what is no effect. `folder` is the one that the command works in."""
    if event in _ANNOUNCED:
        return " ".join(str(each) for each in (event.removeprefix("fleet."), *arguments))
    if event in _FILES:
        where = str(arguments[0])
        return f"{event} {where}" if folder in where else None
    if event == "open":
        path, _, flags = arguments
        where = str(path)
        return f"open {where}" if isinstance(flags, int) and flags & _WRITES and where.startswith(folder) else None
    return None


def prepare(environment: dict[str, str]) -> None:
    """In the fork, before the command begins."""
    told, before = environment.pop(TOLD, ""), int(environment.pop(BEFORE, "0"))
    if not told:
        return
    folder = environment["HOME"]
    written = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    numbers = count(1)

    def heard(event: str, arguments: tuple[object, ...]) -> None:
        what = effect(event, arguments, folder)
        if what is None:
            return
        number = next(numbers)
        os.write(written, what.encode(errors="replace") + b"\n")
        if number == before:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)


def effects(path: Path) -> list[str]:
    """What such a process told, in order; the last one of a killed process was not carried out."""
    return path.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main(prepare)
