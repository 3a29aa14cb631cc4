"""`fleet snapshot`: records what hosts hold, so that a change can be rehearsed where no host can be reached."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.manifest.item import Desired
    from fleet.names import HostName
    from fleet.reconcile.observed import Unobserved
    from fleet.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "snapshot",
        "Asks hosts what they hold and registries what they serve, and writes it to one file, for `fleet rehearse`."
        " Changes nothing. An inventory is enough, and then every model is shown; with `-f`, those that the manifests"
        " are about. In the file are no addresses, no credentials, and no texts of models but their hashes and sizes.",
        epilog="Exit code 7 if more hosts could not be looked at than `--allow-unreachable` says; the file is written all"
        " the same, and says why.",
    )
    options.a_path(
        parser.add_argument("--out", required=True, metavar="FILE", help="where to write it; replaces what is there")
    )
    options.sources(parser)
    options.hosts(parser.add_argument_group("which part of it"))
    options.run_settings(parser)
    options.output(parser, ("text", "json"))
    parser.add_argument(
        "--show-content",
        action="store_true",
        help="keep system prompts, templates, messages and licences whole, in a file that only you can read",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 or 7. Raises `InputError` for wrong manifests, `UsageError`, and `FleetError` where it cannot be written."""
    from fleet.cli.chosen import chosen
    from fleet.cli.configuration import settings_of
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data, talk
    from fleet.cli.work import saved_arguments
    from fleet.errors import ExitCode
    from fleet.quantities import share
    from fleet.reconcile.rehearsing.snapshot_file import write_snapshot
    from fleet.reconcile.rehearsing.taking import Wanted, take_snapshot
    from fleet.reconcile.run import Pass
    from fleet.render.snapshot import Taken, taken_document, taken_text
    from fleet.render.writing import written

    settings = settings_of(arguments).settings
    desired, manifests = _desired(arguments, settings)
    names = chosen({name: wanted.host for name, wanted in desired.hosts.items()}, arguments.hosts, arguments.selector)
    told = saved_arguments(arguments)
    sources = (*told.manifests, *told.inventory)
    scope = Pass(desired, "", settings, sources=sources, self_name=arguments.self_name).scope
    wanted = Wanted(
        desired,
        tuple(desired.hosts[name] for name in names),
        scope,
        everything=not manifests,
        texts=arguments.show_content,
    )

    def seen(host: HostName, unobserved: Unobserved | None) -> None:
        if arguments.verbose:
            talk(f"{host}: {'looked at' if unobserved is None else unobserved.message}\n")

    snapshot = run_until_signal(take_snapshot(wanted, settings, seen))
    size = write_snapshot(Path(arguments.out), snapshot, private=arguments.show_content)
    in_service = [host for host in wanted.hosts if host.host.suspended is None]
    missed = sum(host.host.name in snapshot.unobserved for host in in_service)
    allowed = share(settings.allow_unreachable, len(in_service))
    code = ExitCode.UNOBSERVED if missed > allowed else ExitCode.AS_DESIRED
    taken = Taken(snapshot, arguments.out, size, arguments.show_content, code)
    if arguments.output == "json":
        data(written(taken_document(taken)))
    else:
        data(taken_text(taken, paint=paint_of(arguments)))
    return code


def _desired(arguments: argparse.Namespace, settings: Settings) -> tuple[Desired, bool]:
    """What is asked of hosts, and whether manifests say so; of an inventory without manifests, nothing."""
    from fleet.cli.loading import desired_of
    from fleet.manifest.files import default_paths

    manifests, inventory = arguments.files, arguments.inventory
    there = bool(manifests) or not inventory
    if not there and not default_paths(Path()):
        manifests, inventory = inventory, []
    desired = desired_of(manifests, inventory, arguments.self_name, dict(arguments.labels), settings)
    return desired, there
