"""`fleet rehearse`: tries a change of manifests on simulated copies of the hosts; contacts none of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fleet.cli import options

_LINE = "1Gbit"


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "rehearse",
        "Starts simulated hosts in the state of a snapshot, on this machine, applies the manifests to them, and tells"
        " what would happen: the plan, what would fail, how long transfers take, what would be evicted from memory, how"
        " much disk is needed, and whether anything is left to do afterwards. No host is contacted. Registries are asked"
        " only about models that neither the snapshot nor the lock file knows.",
        epilog="Exit code 3 if something would fail, is blocked or is left to do, 6 if a guard would refuse, 7 if hosts"
        " are not in the snapshot.",
    )
    snapshot = parser.add_argument("snapshot", metavar="SNAPSHOT", help="a file that `fleet snapshot` wrote")
    options.a_path(snapshot)
    parser.add_argument(
        "--bandwidth",
        type=_bandwidth,
        default=_LINE,
        metavar="RATE",
        help=f"of a host's line, as `1Gbit` or `100MB` in each second; default {_LINE}",
    )
    parser.add_argument("--offline", action="store_true", help="ask no registry at all")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 where there would be changes")
    options.sources(parser)
    options.selection(parser)
    options.guards(parser)
    options.contents(parser, rebuild=True)
    group = parser.add_argument_group("settings")
    options.settings_file(group)
    options.how_many(group)
    options.output(parser, ("text", "json", "markdown"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code by `design.md` 10. Raises `InputError` for a wrong snapshot or wrong manifests, `UsageError`."""
    from fleet.cli.configuration import settings_of
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.show_result import paint_of, plain_listener
    from fleet.cli.streams import data
    from fleet.cli.work import saved_arguments, work_of
    from fleet.quantities import share
    from fleet.reconcile.progress import deaf
    from fleet.reconcile.rehearsing.rehearsal import exit_code_of
    from fleet.reconcile.rehearsing.rehearse import rehearse
    from fleet.reconcile.rehearsing.snapshot_file import read_snapshot
    from fleet.render.rehearsal import rehearsal_document, rehearsal_markdown, rehearsal_text
    from fleet.render.writing import written

    settings = settings_of(arguments).settings
    snapshot = read_snapshot(Path(arguments.snapshot))
    work = work_of(saved_arguments(arguments), settings, arguments).work
    listener = plain_listener(arguments) if arguments.verbose else deaf
    rehearsal = run_until_signal(
        rehearse(work, snapshot, bandwidth=arguments.bandwidth, offline=arguments.offline, listener=listener)
    )
    allowed = share(settings.allow_unreachable, len(rehearsal.report.plan.hosts))
    code = exit_code_of(rehearsal, allowed_unobserved=allowed, detailed=arguments.detailed_exitcode)
    if arguments.output == "json":
        data(written(rehearsal_document(rehearsal, code)))
    elif arguments.output == "markdown":
        data(rehearsal_markdown(rehearsal))
    else:
        data(rehearsal_text(rehearsal, paint=paint_of(arguments), everything=arguments.verbose))
    return code


def _bandwidth(text: str) -> float:
    from fleet.quantities import InvalidQuantity
    from fleet.reconcile.rehearsing.bandwidth import bandwidth

    try:
        return bandwidth(text)
    except InvalidQuantity as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault
