"""Data to stdout, talk to stderr. A reader that went away ends the writing, never the work."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from fleet.errors import FleetError


def data(text: str) -> None:
    """What the command is asked for. Raises `FleetError` where it cannot be written."""
    try:
        _write(sys.stdout, text)
    except OSError as error:
        _silence(sys.stdout)
        raise _lost(error) from error


class DataMeanwhile:
    """Data that is written while the work goes on, which it must not break off: a failure waits for the end."""

    def __init__(self) -> None:
        self._failed: OSError | None = None

    def __call__(self, text: str) -> None:
        """Never fails; after a first failure everything goes nowhere."""
        try:
            _write(sys.stdout, text)
        except OSError as error:
            _silence(sys.stdout)
            self._failed = error

    def end(self) -> None:
        """The work is over. Raises `FleetError` where some of it could not be written."""
        if self._failed is not None:
            raise _lost(self._failed) from self._failed


def talk(text: str) -> None:
    """What is told beside it; a stderr that cannot be written to is nobody's loss."""
    try:
        _write(sys.stderr, text)
    except OSError:
        _silence(sys.stderr)


def _lost(error: OSError) -> FleetError:
    from fleet.codes import Code
    from fleet.errors import FleetError

    return FleetError(f"the output could not be written: {error.strerror or error}", code=Code.OUTPUT_LOST)


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
