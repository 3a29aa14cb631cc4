"""The lock file beside the manifests: which contents a person accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.manifest.faults import Fault, ManifestErrors
from fleet.manifest.item import Desired
from fleet.names import ModelName
from fleet.reconcile.following import following_lock
from fleet.registry.lock import read_lock
from fleet.registry.locked import Locked

NAME = "ollama-fleet.lock"


def lock_file(named: str | None, manifests: Sequence[str]) -> Path:
    """Where it lies: as named, else beside the first manifest, or in it where that is a folder."""
    if named is not None:
        return Path(named)
    first = next((Path(path) for path in manifests if path != "-"), Path())
    return (first if first.is_dir() else first.parent) / NAME


def locked_of(desired: Desired, named: str | None, manifests: Sequence[str]) -> Mapping[ModelName, Locked]:
    """What the lock file holds; nothing where no entry follows it and none is there.

    Raises `InputError` for a lock file that cannot be read, and `ManifestErrors` for entries that follow it and are not
    in it.
    """
    following = following_lock(desired)
    path = lock_file(named, manifests)
    if not following and named is None and not path.exists():
        return {}
    locked = read_lock(path) if path.exists() or named is not None else {}
    missing = [item for item in following if item.name not in locked]
    if missing:
        raise ManifestErrors(
            Fault(
                item.place,
                f"models.{item.name}",
                f"it follows the lock file, and {path} does not have it",
                "run `fleet lock`, read what it wrote, and commit it",
            )
            for item in missing
        )
    return locked
