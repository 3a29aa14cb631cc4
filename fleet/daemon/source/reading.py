"""One reading of manifests, inventory and lock file: a value that passes can be made of for as long as it is in force."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.errors import InputError
from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.faults import ManifestErrors
from fleet.manifest.item import Desired
from fleet.manifest.load import load
from fleet.manifest.written import Loaded, Lying
from fleet.names import ModelName
from fleet.reconcile.accepted import lock_file, locked_of
from fleet.reconcile.hashing import with_hashed_files
from fleet.registry.locked import Locked
from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a source says at one moment."""

    desired: Desired
    """Local files hashed."""
    fingerprint: str
    """Of the desired state."""
    revision: str
    """The commit, or the fingerprint where there is none."""
    sources: tuple[str, ...]
    """Where it is from, the same for every revision: absolute paths, or what is followed of a repository."""
    locked: Mapping[ModelName, Locked]
    """The lock file, by declared name."""
    notes: tuple[str, ...] = ()
    """What a person should know besides, in whole sentences."""
    files: tuple[str, ...] = ()
    """Every other file that was read, or looked for: texts, Modelfiles, weights, the lock file."""


@dataclass(frozen=True, slots=True)
class Told:
    """Which files a reading is of."""

    manifests: tuple[str, ...]
    """As `-f` takes them, seen from `folder`."""
    inventory: tuple[str, ...] = ()
    folder: str = "."
    apart: bool = False
    """Whether manifests may hold nothing of an inventory, even where there is none."""


async def read(
    settings: Settings,
    told: Told,
    *,
    revision: str = "",
    sources: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Snapshot:
    """Reads and resolves in a thread, and hashes local files in others. Without a revision, the fingerprint is it, and
    without `sources` the paths are.

    Of `environ`, OLLAMA_HOST alone is read. Raises `InputError` with every fault.
    """
    with _seen_from(told.folder):
        loaded, desired, locked, lock = await asyncio.to_thread(_read, settings, told, environ)
        desired = await with_hashed_files(desired, settings.state_dir)
    digest = await asyncio.to_thread(fingerprint, desired)
    return Snapshot(
        desired,
        digest,
        revision or digest,
        tuple(sources) or (*told.manifests, *told.inventory),
        locked,
        loaded.notes,
        (lock, *_named(loaded)),
    )


def _read(
    settings: Settings, told: Told, environ: Mapping[str, str]
) -> tuple[Loaded, Desired, Mapping[ModelName, Locked], str]:
    loaded = load(
        told.manifests,
        inventory=told.inventory,
        folder=told.folder,
        self_name=settings.self_name,
        environ=environ,
        credentials_dir=settings.credentials_dir,
        apart=told.apart,
    )
    desired = resolve(loaded)
    manifests = [str(Path(told.folder, path)) for path in told.manifests]
    lock = str(lock_file(settings.lock_file, manifests))
    return loaded, desired, locked_of(desired, settings.lock_file, manifests), lock


def _named(loaded: Loaded) -> Iterator[str]:
    for folder, path in (*loaded.texts, *loaded.modelfiles):
        yield str(Path(folder, path))
    for (folder, path), lying in loaded.weights.items():
        yield str(Path(folder, path))
        if isinstance(lying, Lying) and lying.folder:
            yield from (file.path for file in lying.files)


@contextmanager
def _seen_from(folder: str) -> Iterator[None]:
    """Lets faults name files as seen from a folder that nobody else knows."""
    try:
        yield
    except ManifestErrors as error:
        if folder == ".":
            raise
        raise ManifestErrors(
            replace(fault, text=fault.text.replace(f"{folder}/", "")) for fault in error.faults
        ) from error
    except InputError as error:
        raise InputError(str(error).replace(f"{folder}/", ""), code=error.code, hint=error.hint) from error
