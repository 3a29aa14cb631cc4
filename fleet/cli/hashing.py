"""Hashes the local files that models are made from, telling how far it is, until a signal comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.settings import Settings

if TYPE_CHECKING:
    from fleet.manifest.item import Desired


def hashed(desired: Desired, settings: Settings, *, rehash: bool) -> Desired:
    """The same with the digest of every local file. What was hashed before is not read again, unless it changed.

    Raises `InputError` for a file that cannot be read, changed meanwhile, or is not what its `sha256` says.
    """
    from fleet.manifest.local import local_files

    files = local_files(desired)
    if not files:
        return desired
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.reading import reading
    from fleet.reconcile.hashing import with_hashed_files

    with reading(files) as progress:
        return run_until_signal(with_hashed_files(desired, settings.state_dir, rehash=rehash, progress=progress))
