"""The private folder of all that fleet remembers, and the error for one that cannot be used."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

from fleet.codes import Code
from fleet.errors import FleetError

_CODE = re.compile("%((?:0[0-9a-f]|10)[0-9a-f]{4})")
_SOCKET = ".sock"


class StateError(FleetError):
    """The state folder, or a file in it, cannot be used as it is."""


def unusable(path: Path, why: str, hint: str | None = None) -> StateError:
    """What is said of a path in that folder."""
    return StateError(
        f"what fleet remembers cannot be used: {path}: {why}",
        code=Code.STATE_UNUSABLE,
        hint=hint or f"mend its permissions, or move `{path}` away: fleet starts a new one and looks at the hosts",
    )


def file_name(name: str) -> str:
    """A fleet's name as a file's: characters that could leave the folder are written as their code."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"%{ord(c):06x}" for c in name) or "%"


def name_of_file(written: str) -> str:
    """The name that `file_name` wrote so."""
    if written == "%":
        return ""
    return _CODE.sub(lambda match: chr(int(match[1], 16)), written)


def socket_path(folder: str, name: str) -> Path:
    """Where the daemon of the fleet called `name` listens, if there is one."""
    return Path(folder) / f"{file_name(name)}{_SOCKET}"


def listening(folder: str) -> list[str]:
    """Fleets whose daemon has a socket there, which a daemon that was killed leaves behind."""
    return sorted(name_of_file(path.stem) for path in Path(folder).glob(f"*{_SOCKET}"))


def private_folder(folder: Path) -> None:
    """Makes the folder for its owner alone, where it is not there yet, and those above it likewise.

    Raises `StateError` for one that is not private, and `OSError` for one that cannot be made.
    """
    for missing in reversed([each for each in (folder, *folder.parents) if not os.path.lexists(each)]):
        missing.mkdir(mode=0o700, exist_ok=True)
    check_private(folder)


def check_private(path: Path, *, kind: str = "folder") -> None:
    """Raises `StateError` for a folder or file that others own or may write to, or that is a link: who can write there
    decides what guards compare with. Raises `OSError` where it is not there.
    """
    told = path.lstat()
    if stat.S_ISLNK(told.st_mode):
        # For a service with a user of its own, systemd makes `StateDirectory` a link that root owns, into a folder
        # where no other user can go.
        if kind != "folder" or told.st_uid != 0 or os.geteuid() == 0:
            raise unusable(path, "is a symbolic link", f"name the {kind} that it leads to: {os.path.realpath(path)}")
        told = path.stat()
    if told.st_uid not in {os.geteuid(), 0}:
        raise unusable(path, "belongs to another user")
    if told.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = "700" if kind == "folder" else "600"
        raise unusable(
            path,
            "is writable by others",
            f"see that nobody changed anything there, then run `chmod {mode} {shlex.quote(str(path))}`",
        )
