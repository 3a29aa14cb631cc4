"""The lock file on disk: read as a whole or not at all, replaced at once."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fleet.codes import Code
from fleet.errors import FleetError, InputError
from fleet.foreign import clean
from fleet.names import ModelName
from fleet.registry.locked import Locked, lock_text, parse_lock

_MOST_BYTES = 8 << 20


def read_lock(path: Path) -> dict[ModelName, Locked]:
    """The models of a lock file, by name. Raises `InputError` with every fault as `file:line: fault`."""
    shown = clean(str(path), limit=1000)
    try:
        text = _contents(path).decode()
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
        _replace(path.resolve(), lock_text(models).encode())
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
        return _contents(path) == lock_text(models).encode()
    except OSError:
        return False


def _contents(path: Path) -> bytes:
    """The whole of a regular file of limited size; a pipe is refused rather than waited for. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            found = file.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(found) > _MOST_BYTES:
        raise OSError(f"it has more than {_MOST_BYTES >> 20} MiB")
    return found


def _replace(path: Path, written: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        with open(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
            file.write(written)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _wrong(faults: list[str]) -> InputError:
    return InputError(
        faults[0] if len(faults) == 1 else "\n  ".join(["the lock file is wrong:", *faults]),
        code=Code.LOCK_FILE_WRONG,
        hint=Code.LOCK_FILE_WRONG.cure,
    )
