"""`fleet outdated`: which pulled models have moved on in their registries, compared without pulling anything."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.errors import ExitCode
    from fleet.reconcile.outdated import Compared


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "outdated",
        "Compares what hosts hold, what the lock file says and what registries serve now, of all pulled models. Pulls"
        " nothing and changes nothing; `-v` shows the models that are current too.",
        epilog="Exit code 3 if a registry did not tell what it serves, 7 if hosts could not be looked at.",
    )
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 where something is outdated")
    options.a_path(
        parser.add_argument(
            "--lock-file",
            metavar="FILE",
            help="the lock file; default `ollama-fleet.lock` beside the first manifest",
        )
    )
    options.sources(parser)
    options.selection(parser)
    options.run_settings(parser)
    options.output(parser, ("text", "json", "markdown"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, 2, 3 or 7. Raises `InputError` and `UsageError`."""
    from pathlib import Path

    from fleet.cli.chosen import chosen
    from fleet.cli.configuration import settings_of
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.loading import desired_of
    from fleet.cli.selection import check_names, check_selection
    from fleet.cli.show_result import paint_of, plain_listener
    from fleet.cli.streams import data
    from fleet.cli.suspended import without_suspended
    from fleet.cli.work import saved_arguments
    from fleet.manifest.files import default_paths
    from fleet.manifest.pattern import matches
    from fleet.quantities import share
    from fleet.reconcile.accepted import lock_file
    from fleet.reconcile.observed import Unobserved
    from fleet.reconcile.surveying import survey
    from fleet.registry.lock import read_lock
    from fleet.render.outdated import Survey, outdated_document, outdated_markdown, outdated_text
    from fleet.render.writing import written

    settings = settings_of(arguments).settings
    told = saved_arguments(arguments)
    check_selection(told)
    desired = desired_of(arguments.files, arguments.inventory, arguments.self_name, dict(arguments.labels), settings)
    check_names(told, desired)
    desired = without_suspended(desired, settings)
    path = lock_file(arguments.lock_file, arguments.files or default_paths(Path()))
    lock = read_lock(path) if path.exists() or arguments.lock_file else {}
    every = {name: wanted.host for name, wanted in desired.hosts.items()}
    hosts = [desired.hosts[name] for name in chosen(every, arguments.hosts, arguments.selector)]
    found = run_until_signal(
        survey(
            desired,
            hosts,
            lambda name: not arguments.models or any(matches(glob, name) for glob in arguments.models),
            lock,
            settings,
            plain_listener(arguments),
        )
    )
    in_service = {host.host.name for host in hosts if host.host.suspended is None}
    unobserved = tuple(
        each for name, each in sorted(found.observations.items()) if isinstance(each, Unobserved) and name in in_service
    )
    code = _exit_code(
        found.models,
        missed=len(unobserved) > share(settings.allow_unreachable, len(in_service)),
        detailed=arguments.detailed_exitcode,
    )
    shown = Survey(desired.name, found.models, unobserved, settings.ask_registries, code)
    if arguments.output == "json":
        data(written(outdated_document(shown)))
    elif arguments.output == "markdown":
        data(outdated_markdown(shown))
    else:
        data(outdated_text(shown, paint=paint_of(arguments), everything=arguments.verbose))
    return code


def _exit_code(models: Sequence[Compared], *, missed: bool, detailed: bool) -> ExitCode:
    from fleet.errors import ExitCode, highest_ranked

    found = {
        ExitCode.CHANGES_PENDING: detailed and any(each.outdated for each in models),
        ExitCode.PARTIAL: any(each.unknown is not None for each in models),
        ExitCode.UNOBSERVED: missed,
    }
    return highest_ranked(code for code, so in found.items() if so)
