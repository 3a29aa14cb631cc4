"""Which fleet a verb means that needs no manifests: by its name, by its inventory, or because there is only one."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.cli import options
from fleet.codes import Code
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.manifest.item import Desired
    from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class WhichFleet:
    """A fleet as somebody named it."""

    name: str
    desired: Desired | None
    """Its hosts, where its inventory was read; nothing where the name alone is known."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """By which a fleet is named."""
    group = parser.add_argument_group(
        "which fleet",
        "Without any of these: that of the `inventory` in the settings, else of the manifests in the working directory,"
        " else the only one that is remembered.",
    )
    group.add_argument(
        "--name", dest="fleet", metavar="NAME", help="the fleet of that name; no manifest or inventory is read"
    )
    for option, dest, what in (
        ("-i", "inventory", "the inventory of the fleet: a file or a folder"),
        ("-f", "files", "a manifest or a folder of manifests that names its hosts itself"),
    ):
        options.a_path(
            group.add_argument(
                option,
                dest=dest,
                action="append",
                default=[],
                metavar="PATH",
                help=f"{what}; may be given several times",
            )
        )
    options.settings_file(group)


def which_fleet(arguments: argparse.Namespace, settings: Settings) -> WhichFleet:
    """Raises `UsageError` where no fleet or more than one is meant, `InputError` for wrong files, `StateError`."""
    from fleet.cli.loading import desired_of
    from fleet.manifest.files import default_paths
    from fleet.render.words import some

    if arguments.fleet is not None:
        if arguments.inventory or arguments.files:
            raise UsageError("a fleet is named by `--name` or by its files, not by both", code=Code.USAGE)
        return WhichFleet(arguments.fleet, None)
    inventory = arguments.inventory
    if not inventory and not arguments.files and settings.inventory is not None:
        # The daemon's. Manifests that happen to lie here may be a part of what it reads, and have no hosts.
        inventory = settings.inventory.split(":")
    if inventory and not arguments.files:
        # Read as one that says everything: for names of hosts no manifest is needed.
        desired = desired_of(inventory, (), None, {}, settings)
        return WhichFleet(desired.name, desired)
    if arguments.files or default_paths(Path()):
        desired = desired_of(arguments.files, inventory, None, {}, settings)
        return WhichFleet(desired.name, desired)
    known = _known(settings)
    if len(known) == 1:
        return WhichFleet(known[0], None)
    raise UsageError(
        f"which fleet is meant? There are: {some(known, 10)}"
        if known
        else f"no fleet is known in {settings.state_dir}",
        code=Code.USAGE,
        hint="say `--name NAME`, or name its inventory by `-i`",
    )


def _known(settings: Settings) -> tuple[str, ...]:
    """Fleets with a record in the state folder, and those whose daemon listens there."""
    from fleet.state.folder import listening
    from fleet.state.known import known_fleets

    # Without a file of its own, as before its first pass, a daemon is found by its socket.
    return tuple(sorted({*known_fleets(settings.state_dir), *listening(settings.state_dir)}))
