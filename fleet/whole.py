"""Files that readers see whole or not at all, and files that are read whole or refused."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

_RANDOM = 8
"""Bytes of the name of what is half written."""
_LEFT = 3600.0
"""Seconds after which nobody is still writing it: whoever did was killed."""
_PIECE = 1 << 20


def replace_whole(path: Path, content: bytes, *, mode: int = 0o666, exactly: int | None = None) -> None:
    """Puts the content in place of what is there, once all of it is on disk. `mode` is what the process' mask is taken
    from; `exactly` holds whatever that is. Raises `OSError`; what was there stays then.

    What killed processes left half written under the same name goes (`reliability.md` K18), and nothing else.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(_RANDOM)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            if exactly is not None:
                os.fchmod(descriptor, exactly)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):
        _sweep(path)


def _sweep(path: Path) -> None:
    ours = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{{2 * _RANDOM}}}")
    with os.scandir(path.parent) as entries:
        left = [entry for entry in entries if ours.fullmatch(entry.name)]
    for entry in left:
        told = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(told.st_mode) and told.st_uid == os.geteuid() and time.time() - told.st_mtime > _LEFT:
            os.unlink(entry.path)  # noqa: PTH108  # as it was listed


def read_whole(path: Path, most: int) -> bytes:
    """The whole of a regular file of at most `most` bytes; a pipe is refused rather than waited for. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        # In pieces: room for `most` bytes would be made at once, however short the file is. It may grow meanwhile.
        pieces, left = [], most + 1
        while left and told.st_size <= most and (piece := file.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
    if not left or told.st_size > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB")
    return b"".join(pieces)
