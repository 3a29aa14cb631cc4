"""From a command line to the work of a pass: manifests loaded, desired state worked out, selection checked."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from fleet.cli.streams import talk
from fleet.codes import Code
from fleet.errors import UsageError
from fleet.names import HostName, InvalidName
from fleet.reconcile.run import Pass
from fleet.reconcile.saved import SavedArguments
from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """What a pass is told, and what it takes to say the same again."""

    work: Pass
    arguments: SavedArguments


def work_of(arguments: SavedArguments, settings: Settings, named: argparse.Namespace | None = None) -> Work:
    """Loads everything; contacts no host. Raises `InputError` and `UsageError`.

    `named` is the command line, for faults to name files as the user did; a saved plan has its own names.
    """
    from fleet.manifest.desired import fingerprint, resolve
    from fleet.manifest.load import load
    from fleet.reconcile.plan import Allowance
    from fleet.reconcile.run import Selection

    check_selection(arguments)
    loaded = load(
        arguments.manifests if named is None else named.files,
        inventory=arguments.inventory if named is None else named.inventory,
        stdin=sys.stdin.buffer if sys.stdin is not None else None,
        self_name=arguments.self_name,
        self_labels=dict(label.split("=", 1) for label in arguments.labels),
        environ=os.environ,
        credentials_dir=settings.credentials_dir,
    )
    for note in loaded.notes:
        talk(f"note: {note}\n")
    desired = resolve(loaded)
    allowance = Allowance(
        arguments.max_deletes, frozenset(map(HostName, arguments.accept_emptied)), arguments.accept_shrunk
    )
    selection = Selection(arguments.hosts, arguments.selector, arguments.models)
    paths = (*arguments.manifests, *arguments.inventory)
    return Work(Pass(desired, fingerprint(desired), settings, selection, allowance, paths), arguments)


def saved_arguments(arguments: argparse.Namespace) -> SavedArguments:
    """The part of a command line that decides what is planned. Paths become absolute, defaults are written out."""
    from fleet.manifest.files import default_paths

    if arguments.labels and arguments.self_name is None:
        raise UsageError("`--label` is about this machine, and needs `--self NAME`", code=Code.USAGE)
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
    )


def check_selection(arguments: SavedArguments) -> None:
    """Raises `UsageError` for what no host or model could be called, before anything is read."""
    from fleet.manifest.faults import Misread
    from fleet.manifest.pattern import parse_pattern
    from fleet.manifest.selector import Selector

    if arguments.selector is not None:
        try:
            Selector.parse(arguments.selector)
        except Misread as error:
            where = f" at character {error.offset + 1}" if error.offset else ""
            raise UsageError(f"`-l`: {error}{where}", code=Code.USAGE, hint=error.hint) from error
    for glob in arguments.models:
        try:
            parse_pattern(glob)
        except Misread as error:
            raise UsageError(f"`--model`: {error}", code=Code.USAGE, hint=error.hint) from error
    for host in arguments.accept_emptied:
        try:
            HostName.parse(host)
        except InvalidName as error:
            raise UsageError(f"`--accept-emptied`: {error}", code=Code.USAGE) from error


def _absolute(path: str) -> str:
    return path if path == "-" else os.path.abspath(path)  # noqa: PTH100  # links stay as they were written
