"""From a command line to the work of a pass: manifests loaded, desired state worked out, selection checked."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from fleet.cli.loading import desired_of
from fleet.cli.selection import check_names, check_selection
from fleet.names import HostName
from fleet.reconcile.run import Pass
from fleet.reconcile.saved import SavedArguments
from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """What a pass is told, and what it takes to say the same again."""

    work: Pass
    arguments: SavedArguments


def work_of(
    arguments: SavedArguments, settings: Settings, named: argparse.Namespace | None = None, *, rehash: bool = False
) -> Work:
    """Loads everything and hashes local files; contacts no host. Raises `InputError`, `UsageError` and `StateError`.

    `named` is the command line, for faults to name files as the user did; a saved plan has its own names.
    """
    from fleet.cli.hashing import hashed
    from fleet.cli.suspended import without_suspended
    from fleet.manifest.desired import fingerprint
    from fleet.reconcile.accepted import locked_of
    from fleet.reconcile.plan import Allowance
    from fleet.reconcile.run import Selection

    check_selection(arguments)
    desired = desired_of(
        arguments.manifests if named is None else named.files,
        arguments.inventory if named is None else named.inventory,
        arguments.self_name,
        dict(label.split("=", 1) for label in arguments.labels),
        settings,
    )
    if named is not None:
        # A saved plan that names what is no longer there does not fit any more, which is found out by planning.
        check_names(arguments, desired)
    locked = locked_of(desired, arguments.lock_file, arguments.manifests)
    desired = hashed(desired, settings, rehash=rehash or (named is not None and getattr(named, "rehash", False)))
    allowance = Allowance(
        arguments.max_deletes,
        frozenset(map(HostName, arguments.accept_emptied)),
        arguments.accept_shrunk,
        arguments.accept_sources,
        frozenset(map(HostName, arguments.accept_foreign)),
    )
    selection = Selection(arguments.hosts, arguments.selector, arguments.models)
    paths = (*arguments.manifests, *arguments.inventory)
    work = Pass(
        without_suspended(desired, settings),
        # Of what the manifests say: that somebody suspended a host makes it no other state.
        fingerprint(desired),
        settings,
        selection,
        allowance,
        paths,
        self_name=arguments.self_name,
        locked=locked,
        rebuild_unverified=arguments.rebuild_unverified,
    )
    return Work(work, arguments)


def saved_arguments(arguments: argparse.Namespace) -> SavedArguments:
    """The part of a command line that decides what is planned. Paths become absolute, defaults are written out."""
    from fleet.manifest.files import default_paths

    return SavedArguments(
        manifests=tuple(_absolute(path) for path in arguments.files or default_paths(Path())),
        inventory=tuple(_absolute(path) for path in arguments.inventory),
        self_name=arguments.self_name,
        labels=tuple(f"{key}={value}" for key, value in arguments.labels),
        hosts=tuple(getattr(arguments, "hosts", ())),
        selector=getattr(arguments, "selector", None),
        models=tuple(getattr(arguments, "models", ())),
        max_deletes=getattr(arguments, "max_deletes", None),
        accept_emptied=tuple(getattr(arguments, "accept_emptied", ())),
        accept_shrunk=getattr(arguments, "accept_shrunk", False),
        accept_sources=getattr(arguments, "accept_sources", False),
        accept_foreign=tuple(getattr(arguments, "accept_foreign", ())),
        lock_file=_absolute(arguments.lock_file) if getattr(arguments, "lock_file", None) else None,
        rebuild_unverified=getattr(arguments, "rebuild_unverified", False),
    )


def _absolute(path: str) -> str:
    return path if path == "-" else os.path.abspath(path)  # noqa: PTH100  # links stay as they were written
