"""The lock file on disk: read as a whole or not at all, replaced at once."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fleet.codes import Code
from fleet.errors import FleetError, InputError
from fleet.foreign import clean
from fleet.names import ModelName
from fleet.registry.locked import Locked, lock_text, parse_lock
from fleet.whole import read_whole, replace_whole

_MOST_BYTES = 8 << 20


def read_lock(path: Path) -> dict[ModelName, Locked]:
    """The models of a lock file, by name. Raises `InputError` with every fault as `file:line: fault`."""
    shown = clean(str(path), limit=1000)
    try:
        text = read_whole(path, _MOST_BYTES).decode()
    except UnicodeDecodeError:
        raise _wrong([f"{shown}: it is no text in UTF-8"]) from None
    except OSError as error:
        raise InputError(
            f"{shown}: the lock file cannot be read: {error.strerror or error}",
            code=Code.LOCK_FILE_WRONG,
            hint="`fleet lock` writes one" if isinstance(error, FileNotFoundError) else None,
        ) from error
    found, faults = parse_lock(text)
    if faults:
        raise _wrong([f"{shown}:{line}: {fault}" for line, fault in faults])
    return found


def write_lock(path: Path, models: Iterable[Locked]) -> bool:
    """Writes the lock file; readers see all of it or what was there before. False where it was like that already.

    Raises `FleetError` where it cannot be written.
    """
    models = tuple(models)
    if same_lock(path, models):
        return False
    try:
        # The file that a link leads to is replaced, and not the link.
        file = path.resolve()
        replace_whole(file, lock_text(models).encode(), exactly=_kept_mode(file))
    except OSError as error:
        raise FleetError(
            f"{clean(str(path), limit=1000)}: the lock file cannot be written: {error.strerror or error}",
            code=Code.OUTPUT_LOST,
            hint="make its folder writable, or name another file by `--lock-file`",
        ) from error
    return True


def same_lock(path: Path, models: Iterable[Locked]) -> bool:
    """Whether the file is there and holds these models, byte for byte as they would be written."""
    try:
        return read_whole(path, _MOST_BYTES) == lock_text(models).encode()
    except OSError:
        return False


def _kept_mode(path: Path) -> int | None:
    """Of a file that is there already."""
    with suppress(FileNotFoundError):
        return stat.S_IMODE(path.stat().st_mode)
    return None


def _wrong(faults: list[str]) -> InputError:
    return InputError(
        faults[0] if len(faults) == 1 else "\n  ".join(["the lock file is wrong:", *faults]),
        code=Code.LOCK_FILE_WRONG,
        hint=Code.LOCK_FILE_WRONG.cure,
    )
