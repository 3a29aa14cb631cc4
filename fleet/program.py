"""Runs other programs, as `git`, what checks its signatures, and what knows credentials: nothing of the surrounding leaks
in, nothing waits for ever, no output is unbounded. A program that is not waited for any more is ended together with all
that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fleet.foreign import clean
from fleet.quantities import exact_size, show_duration

_MOST = 1 << 20
_TOLD = 16 << 10
"""Bytes of what it says of errors that are kept."""
_CHUNK = 64 << 10
_END = 5.0
"""Seconds that the pipes of a killed program get to be closed."""


class Failed(Exception):
    """A program ended badly or was ended; the message is what it told, cleaned."""


async def run(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,  # noqa: ASYNC109  # the setting's own limit, told in the message
    stdin: bytes = b"",
    into: int | None = None,
    most: int = _MOST,
    shown: bool = True,
) -> bytes:
    """What it wrote to stdout, at most `most` bytes of it; or nothing where that goes to the descriptor `into`.

    `environment` is all of its environment. Raises `Failed`, with its own words unless they are not to be `shown`.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env=dict(environment),
            stdin=PIPE if stdin else DEVNULL,
            stdout=PIPE if into is None else into,
            stderr=PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"`{argv[0]}` cannot be run: {error.strerror or error}") from error
    try:
        async with asyncio.timeout(timeout):
            out, told, _ = await asyncio.gather(
                _all(process.stdout, most), _beginning(process.stderr), _feed(process, stdin)
            )
            code = await process.wait()
    except TimeoutError:
        raise Failed(f"it took longer than {show_duration(timeout)}") from None
    finally:
        await _end(process)
    if code != 0:
        raise Failed((_words(told) if shown else "") or f"it ended with code {code}")
    return out


async def _all(stream: asyncio.StreamReader | None, most: int) -> bytes:
    if stream is None:
        return b""
    found = bytearray()
    while chunk := await stream.read(_CHUNK):
        found += chunk
        if len(found) > most:
            raise Failed(f"it wrote more than {exact_size(most)}")
    return bytes(found)


async def _beginning(stream: asyncio.StreamReader | None) -> bytes:
    """Reads all of it, and keeps some."""
    found = b""
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        found = (found + chunk)[-_TOLD:]
    return found


async def _feed(process: Process, stdin: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await process.stdin.wait_closed()


async def _end(process: Process) -> None:
    """Kills the whole group if it is still there, and reads its pipes to their end, so that they are closed."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END):
                for stream in (process.stdout, process.stderr):
                    while stream is not None and await stream.read(_CHUNK):
                        pass
                await process.wait()


def _words(told: bytes) -> str:
    """What it says of the error: the lines that say that they do, else the last ones."""
    lines = [line.strip() for line in told.decode(errors="replace").replace("\r", "\n").split("\n") if line.strip()]
    errors = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote: error", "gpg:"))]
    return clean("; ".join((errors or lines)[-4:]), limit=1000)
