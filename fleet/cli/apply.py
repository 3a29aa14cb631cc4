"""`fleet apply`: carries the steps out, after somebody said yes, and looks again to prove it."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "apply",
        "Looks at the hosts, shows the plan, asks, carries it out, and looks again to prove it. Elsewhere than on a"
        " terminal it needs `--yes` or a saved plan.",
        epilog="An interrupt starts nothing new: downloads are left at once and keep their bytes, uploads, creates and"
        " loads may take up to `grace` to end, a setting of 20s by default. A second one ends at once.",
    )
    plan = parser.add_argument(
        "plan",
        nargs="?",
        metavar="PLAN",
        help="a plan saved by `fleet plan --save`: carried out without asking, if it still fits",
    )
    options.a_path(plan)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options.sources(parser)
    options.selection(parser)
    options.guards(parser)
    options.contents(parser, rebuild=True)
    options.run_settings(parser, lock=True)
    options.output(parser, content=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code by `design.md` 10."""
    from fleet.cli.applying import apply_work
    from fleet.cli.configuration import settings_of
    from fleet.cli.work import saved_arguments, work_of
    from fleet.reconcile.saved import read

    settings = settings_of(arguments).settings
    if arguments.plan is None:
        return apply_work(work_of(saved_arguments(arguments), settings, arguments).work, arguments)
    _refuse_beside_plan(arguments)
    saved = read(arguments.plan)
    return apply_work(work_of(saved.arguments, settings, rehash=arguments.rehash).work, arguments, saved)


def _refuse_beside_plan(arguments: argparse.Namespace) -> None:
    """A saved plan says by itself what it was made from."""
    from fleet.codes import Code
    from fleet.errors import UsageError

    given = [
        option
        for option, value in (
            ("-f", arguments.files),
            ("-i", arguments.inventory),
            ("--self", arguments.self_name),
            ("--label", arguments.labels),
            ("--host", arguments.hosts),
            ("-l", arguments.selector),
            ("--model", arguments.models),
            ("--max-deletes", arguments.max_deletes is not None),
            ("--accept-emptied", arguments.accept_emptied),
            ("--accept-shrunk", arguments.accept_shrunk),
            ("--lock-file", arguments.lock_file),
            ("--rebuild-unverified", arguments.rebuild_unverified),
        )
        if value
    ]
    if given:
        raise UsageError(
            f"`{given[0]}` does not go with a saved plan, which has its own",
            code=Code.USAGE,
            hint="make a new one with `fleet plan --save FILE`",
        )
