"""Files that readers see whole or not at all, and files that are read whole or refused."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def replace_whole(path: Path, content: bytes, *, mode: int = 0o666, exactly: int | None = None) -> None:
    """Puts the content in place of what is there, once all of it is on disk. `mode` is what the process' mask is taken
    from; `exactly` holds whatever that is. Raises `OSError`; what was there stays then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
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


def read_whole(path: Path, most: int) -> bytes:
    """The whole of a regular file of at most `most` bytes; a pipe is refused rather than waited for. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB")
    return found
