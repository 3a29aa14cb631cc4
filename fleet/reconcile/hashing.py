"""Hashes the local files that models are made from, before anything is planned: by their digests they are compared."""

from __future__ import annotations

from fleet.codes import Code
from fleet.errors import InputError
from fleet.manifest.item import Desired
from fleet.manifest.local import local_files, with_digests
from fleet.state.digests import Digests
from fleet.weights.faults import InvalidWeights
from fleet.weights.hashing import Progress, hash_files


async def with_hashed_files(
    desired: Desired, state_dir: str, *, rehash: bool = False, progress: Progress | None = None
) -> Desired:
    """The same with the digest of every local file. What was hashed before is not read again, unless it changed.

    Raises `InputError` for files that cannot be read, changed meanwhile, or are not what their `sha256` says.
    """
    files = local_files(desired)
    if not files:
        return desired
    with Digests(state_dir) as cache:
        try:
            digests = await hash_files(files, cache, rehash=rehash, progress=progress)
        except InvalidWeights as fault:
            raise InputError(str(fault), code=Code.WEIGHTS_WRONG, hint=fault.hint) from fault
    return with_digests(desired, lambda file: digests[file.path])
