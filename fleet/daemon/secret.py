"""Secrets of the daemon itself: by file alone, read anew when the daemon is told to."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from fleet.codes import Code
from fleet.errors import InputError
from fleet.masking import hide
from fleet.settings import Settings

_LARGEST = 4096


class UnusableSecret(Exception):
    """Why a file's content is not taken for a secret, and what to run against that, if anything."""

    def __init__(self, why: str, command: str | None = None) -> None:
        super().__init__(why)
        self.command = command


def private_content(path: str, credentials_dir: str | None, most: int = _LARGEST) -> bytes:
    """What a file holds that its owner alone may read, without white space around it, and `most` + 1 bytes of a longer
    one. The service manager sees to the rights of what it puts into `credentials_dir`, which may look wider than they
    are. Raises `UnusableSecret`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            told = os.fstat(descriptor)
            if not stat.S_ISREG(told.st_mode):
                raise UnusableSecret("it is no regular file")
            handed_over = credentials_dir is not None and Path(path).parent == Path(credentials_dir)
            if told.st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not handed_over:
                raise UnusableSecret("others may read it", f"chmod 600 {shlex.quote(path)}")
            return file.read(most + 1).strip()
    except OSError as error:
        raise UnusableSecret(error.strerror or "it cannot be opened") from error


def read_secret(path: str | None, settings: Settings) -> bytes | None:
    """What the file holds; nothing where no file is named. Raises `InputError` for one that cannot be read, is empty, or
    that others may read.
    """
    if path is None:
        return None
    try:
        secret = private_content(path, settings.credentials_dir)
    except UnusableSecret as fault:
        raise _wrong(path, f"{fault}; `{fault.command}`" if fault.command else str(fault)) from fault
    if not secret:
        raise _wrong(path, "it is empty")
    if len(secret) > _LARGEST:
        raise _wrong(path, "it is longer than any secret")
    hide(secret)
    return secret


def _wrong(path: str, why: str) -> InputError:
    return InputError(f"a secret cannot be used: {path}: {why}", code=Code.SETTINGS_WRONG)
