"""Which manifests speak for a fleet, as text to be compared, and whether others are the same ones that lie elsewhere now."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from fleet.state.remembered import Remembered


def sources_of(paths: Sequence[str]) -> str:
    """A set of absolute paths, or of other places, in any order."""
    return json.dumps(sorted(set(paths)))


def there(path: str) -> bool:
    """Whether something is at a path of this machine, as far as that can be told; for what is no such path, always."""
    if not path.startswith("/"):
        return True
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def moved(remembered: Remembered, sources: str, exists: Callable[[str], bool] = there) -> Remembered:
    """With `sources` in place of those that are the same files below another folder and that are gone from where they
    were: a new checkout of the same manifests. As long as the former ones are there, they may be somebody else's.
    """
    told = {
        scope: sources if former == sources or _moved(former, sources, exists) else former
        for scope, former in remembered.sources.items()
    }
    return remembered if told == remembered.sources else replace(remembered, sources=told)


def _moved(former: str, now: str, exists: Callable[[str], bool]) -> bool:
    try:
        before, after = set(json.loads(former)), set(json.loads(now))
    except (ValueError, TypeError):
        return False
    gone, come = before - after, after - before
    if not gone or not all(path.startswith("/") for path in gone | come) or any(map(exists, gone)):
        return False
    return _below(gone) == _below(come)


def _below(paths: Collection[str]) -> list[str]:
    """As seen from the folder that they share."""
    if not paths:
        return []
    shared = posixpath.commonpath(map(posixpath.dirname, paths))
    return sorted(posixpath.relpath(path, shared) for path in paths)
