"""Data to stdout, talk to stderr. A reader that went away ends the writing, never the work."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def data(text: str) -> None:
    """What the command is asked for. Raises `FleetError` where it cannot be written."""
    try:
        _write(sys.stdout, text)
    except OSError as error:
        _silence(sys.stdout)
        from fleet.codes import Code
        from fleet.errors import FleetError

        raise FleetError(
            f"the output could not be written: {error.strerror or error}", code=Code.OUTPUT_LOST
        ) from error


def talk(text: str) -> None:
    """What is told beside it; a stderr that cannot be written to is nobody's loss."""
    try:
        _write(sys.stderr, text)
    except OSError:
        _silence(sys.stderr)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # the descriptor was closed before the start
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Lets everything that is still to come go nowhere, the flush at the end of the process included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def coloured(stream: TextIO | None, *, wanted: bool = True) -> bool:
    """Whether to use colour there: on a terminal that can, unless `--no-color` or NO_COLOR say otherwise."""
    return wanted and not os.environ.get("NO_COLOR") and is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether lines can be redrawn there."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
