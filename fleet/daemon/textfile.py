"""A text file for Prometheus' collector: whole or not at all, readable by the collector, whoever it runs as."""

from __future__ import annotations

import os
from pathlib import Path

from fleet.codes import Code
from fleet.errors import FleetError
from fleet.foreign import clean
from fleet.whole import replace_whole

_READABLE = 0o644


def check_place(path: Path) -> None:
    """So that nothing is begun in vain. Raises `FleetError` where no such file can be written."""
    if path.is_dir():
        raise _unwritable(path, "is a folder")
    if not path.parent.is_dir():
        raise _unwritable(path, "its folder is not there")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _unwritable(path, "its folder may not be written to")


def write_textfile(path: Path, content: bytes) -> None:
    """Puts the content in place of what is there, once all of it is on disk. Blocks meanwhile. Raises `FleetError`.

    The collector reads `*.prom` alone, so that it never sees the temporary file beside it.
    """
    try:
        replace_whole(path, content, exactly=_READABLE)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: Path, why: str) -> FleetError:
    return FleetError(
        f"metrics cannot be written: {clean(str(path))}: {why}",
        code=Code.FILE_KEPT,
        hint="name a file that ends in `.prom`, in the folder that the collector reads (`--collector.textfile.directory`)",
    )
