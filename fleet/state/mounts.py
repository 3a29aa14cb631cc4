"""Whether locks in a folder hold against other machines, as far as the system tells how it is mounted."""

from __future__ import annotations

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")

_NOT_LOCKED = {
    "nfs": ("nolock", "local_lock=all", "local_lock=flock"),
    "nfs4": ("nolock", "local_lock=all", "local_lock=flock"),
    "cifs": ("nobrl",),
    "smb3": ("nobrl",),
    "fuse.sshfs": ("",),
}
"""Network file systems, and with which options locks of one machine are unknown to the others; the empty one: always.
From nfs(5), mount.cifs(8) and sshfs(1)."""

_MINIMUM = 10
"""Fields of a line, by proc_pid_mountinfo(5)."""


def unlocked_mount(path: Path, mounts: str | None = None) -> str | None:
    """The kind of network file system that `path` lies on, where locks there would not keep other machines out.

    Nothing where they do, or where that cannot be told. `mounts` is the text of `/proc/self/mountinfo`.
    """
    try:
        told = path.stat().st_dev
        text = _MOUNTS.read_text(encoding="utf-8", errors="replace") if mounts is None else mounts
    except OSError:
        return None
    device = f"{os.major(told)}:{os.minor(told)}"
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < _MINIMUM or fields[2] != device or "-" not in fields:
            continue
        after = fields[fields.index("-") + 1 :]
        if len(after) < 3:
            continue
        kind, options = after[0], {*fields[5].split(","), *after[2].split(",")}
        if any(not option or option in options for option in _NOT_LOCKED.get(kind, ())):
            return kind
    return None
