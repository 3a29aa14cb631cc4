"""Hashes the local files that models are made from, before anything is planned: by their digests they are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.codes import Code
from fleet.errors import InputError
from fleet.settings import Settings

if TYPE_CHECKING:
    from fleet.manifest.item import Desired


def hashed(desired: Desired, settings: Settings, *, rehash: bool) -> Desired:
    """The same with the digest of every local file. What was hashed before is not read again, unless it changed.

    Raises `InputError` for a file that cannot be read, changed meanwhile, or is not what its `sha256` says.
    """
    from fleet.manifest.local import local_files, with_digests

    files = local_files(desired)
    if not files:
        return desired
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.reading import reading
    from fleet.state.digests import Digests
    from fleet.weights.faults import InvalidWeights
    from fleet.weights.hashing import hash_files

    with reading(files) as progress, Digests(settings.state_dir) as cache:
        try:
            digests = run_until_signal(hash_files(files, cache, rehash=rehash, progress=progress))
        except InvalidWeights as fault:
            raise InputError(str(fault), code=Code.WEIGHTS_WRONG, hint=fault.hint) from fault
    return with_digests(desired, lambda file: digests[file.path])
