"""How files stand, without reading them: by that two moments are compared."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ENDINGS = (".yaml", ".yml")
"""Of what manifests and inventory are read from in folders, as `fleet.manifest.files` reads them."""
MOUNTED = "..data"
"""The link by which Kubernetes replaces all files of a mounted volume at once."""

_DEEPEST = 32
_MOST = 100_000
"""Entries of folders that are looked at."""

Standing = tuple[int, ...]
"""Device, inode, size, times of change; nothing for what is not there."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Equal where nothing moved."""

    files: dict[str, Standing]
    newest: int
    """Nanoseconds since 1970: the last change of any of them, or of a folder that they were found in."""


def scan(paths: Iterable[str], named: Iterable[str] = ()) -> Scan:
    """The manifests that these files and folders hold, and further files, as they stand. Never fails."""
    files: dict[str, Standing] = {}
    newest = 0
    for path in paths:
        for found, told, counts in _below(path):
            newest = max(newest, *_changed(told))
            if counts:
                files[found] = told
    for path in named:
        files[path] = told = _standing(path)
        newest = max(newest, *_changed(told))
    return Scan(files, newest)


def ignored(name: str) -> bool:
    """Whether a file or folder of this name is nobody's manifest: hidden, or left by an editor."""
    return name != MOUNTED and (name.startswith((".", "#")) or name.endswith(("~", ".swp", ".swx", ".tmp")))


def _below(path: str) -> Iterator[tuple[str, Standing, bool]]:
    told = _standing(path)
    yield path, told[:2] if os.path.isdir(path) else told, True  # noqa: PTH112  # a thousand paths cost more as objects
    if os.path.isdir(path):  # noqa: PTH112
        left = [_MOST]
        yield from _inside(path, left, 0)


def _inside(folder: str, left: list[int], depth: int) -> Iterator[tuple[str, Standing, bool]]:
    yield folder, _standing(folder), False
    try:
        with os.scandir(folder) as opened:
            entries = list(opened)
    except OSError:
        return
    for entry in entries:
        left[0] -= 1
        if left[0] < 0 or ignored(entry.name) or entry.name == MOUNTED:
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < _DEEPEST:
                yield from _inside(entry.path, left, depth + 1)
        elif entry.name.endswith(ENDINGS):
            yield entry.path, _standing(entry.path), True


def _standing(path: str) -> Standing:
    """Of a link, also where it leads."""
    try:
        own = os.lstat(path)
        told = os.stat(path) if stat.S_ISLNK(own.st_mode) else own  # noqa: PTH116
    except (OSError, ValueError):
        return ()
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns, own.st_ino, own.st_mtime_ns


def _changed(told: Standing) -> Standing:
    return told[3:5] or (0,)
