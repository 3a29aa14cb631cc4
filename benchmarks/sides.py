"""Runs the sides of a comparison in turn, each time in a fresh process, so that both meet the same machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SERVERS = 2
"""Processes that serve canned replies: more gain nothing beside one client on two cores."""


class Spent(NamedTuple):
    """CPU and wall time in seconds, highest memory in bytes; nothing where only the wall was looked at."""

    wall: float
    cpu: float = 0.0
    peak: int = 0
    idle: int = 0
    """The highest memory before the work began: imports and what they left behind."""


def side(script: str, *arguments: str) -> list[str]:
    """The command of one side: a script of this folder that prints what it spent."""
    return [sys.executable, str(HERE / script), *arguments]


def work(commands: Mapping[str, Sequence[str]], rounds: int, given: str = "") -> dict[str, list[Spent]]:
    """What each of `commands` says that it spent, round by round. `given` is their standard input."""
    spent: dict[str, list[Spent]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            said = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout
            spent[name].append(Spent(**json.loads(said)))
    return spent


def start(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Spent]]:
    """How long each of `commands` takes from its start to its end; a first round, which warms the disk, is left out."""
    spent: dict[str, list[Spent]] = {name: [] for name in commands}
    for _ in range(1 + rounds):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
            spent[name].append(Spent(time.perf_counter() - began))
    return {name: each[1:] for name, each in spent.items()}


@contextmanager
def serving(script: str, *arguments: str) -> Iterator[str]:
    """What a server of this folder says once it listens, while the block runs."""
    with subprocess.Popen(side(script, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline()
        finally:
            server.stdin.close()


@contextmanager
def canned_hosts(number: int) -> Iterator[list[int]]:
    """The ports of so many hosts with canned replies, while the block runs."""
    with ExitStack() as stack:
        ports: list[int] = []
        for _ in range(SERVERS):
            ports += json.loads(stack.enter_context(serving("canned.py", str(number // SERVERS))))
        yield ports
