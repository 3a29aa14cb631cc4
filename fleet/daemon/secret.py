"""Secrets of the daemon itself: by file alone, read anew when the daemon is told to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fleet.codes import Code
from fleet.errors import InputError
from fleet.settings import Settings

_LARGEST = 4096


def read_secret(path: str | None, settings: Settings) -> bytes | None:
    """What the file holds, without white space around it; nothing where no file is named. Raises `InputError` for one
    that cannot be read, is empty, or that others may read; systemd keeps those in `credentials_dir` from others itself.
    """
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    with open(descriptor, "rb") as file:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise _wrong(path, "it is no regular file")
        given = settings.credentials_dir is not None and Path(path).is_relative_to(settings.credentials_dir)
        if told.st_mode & 0o077 and not given:
            raise _wrong(path, f"others may read it; `chmod 600 {path}`")
        secret = file.read(_LARGEST + 1).strip()
    if not secret:
        raise _wrong(path, "it is empty")
    if len(secret) > _LARGEST:
        raise _wrong(path, "it is longer than any secret")
    return secret


def _wrong(path: str, why: str) -> InputError:
    return InputError(f"a secret cannot be used: {path}: {why}", code=Code.SETTINGS_WRONG)
