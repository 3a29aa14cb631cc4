"""`fleet apply`: carries the steps out, after somebody said yes, and looks again to prove it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.cli.deadline import Deadline
    from fleet.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "apply",
        "Looks at the hosts, shows the plan, asks, carries it out, and looks again to prove it. Elsewhere than on a"
        " terminal it needs `--yes` or a saved plan.",
        epilog="An interrupt starts nothing new: downloads are left at once and keep their bytes, anything else"
        " may take up to `grace` to end, a setting of 20s by default. A second one ends at once.",
    )
    plan = parser.add_argument(
        "plan",
        nargs="?",
        metavar="PLAN",
        help="a plan saved by `fleet plan --save`: carried out without asking, if it still fits",
    )
    options.a_path(plan)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--deadline",
        type=options.duration,
        metavar="DURATION",
        help="be over by then, whatever is left to do, such as `45m`: some time before it, nothing new is begun and what"
        " runs is let go of as after an interrupt; exit code 3",
    )
    metrics = parser.add_argument(
        "--metrics-file",
        metavar="FILE",
        help="write metrics of this run there, for the text-file collector of Prometheus: `FILE.prom` in its folder",
    )
    options.a_path(metrics)
    options.sources(parser)
    options.selection(parser)
    options.guards(parser)
    options.contents(parser, rebuild=True)
    options.run_settings(parser, lock=True)
    options.output(parser, content=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code by `design.md` 10."""
    from pathlib import Path

    from fleet.cli.applying import apply_work
    from fleet.cli.configuration import settings_of
    from fleet.cli.deadline import Deadline
    from fleet.cli.work import saved_arguments, work_of
    from fleet.daemon.textfile import check_place
    from fleet.reconcile.saved import read

    settings = settings_of(arguments).settings
    if arguments.metrics_file is not None:
        check_place(Path(arguments.metrics_file))
    deadline = Deadline(arguments.deadline, settings.grace)
    settings = _by(deadline, settings)
    saved = None
    if arguments.plan is not None:
        _refuse_beside_plan(arguments)
        saved = read(arguments.plan)
    with deadline.over("manifests and files were read"):
        if saved is None:
            work = work_of(saved_arguments(arguments), settings, arguments).work
        else:
            work = work_of(saved.arguments, settings, rehash=arguments.rehash).work
    return apply_work(work, arguments, saved, deadline)


def _by(deadline: Deadline, settings: Settings) -> Settings:
    """Settings that leave a run time to end in order. Raises `UsageError` where waiting alone would take all of it."""
    from dataclasses import replace

    from fleet.codes import Code
    from fleet.errors import UsageError
    from fleet.quantities import show_duration

    left = deadline.left
    if left is None:
        return settings
    if settings.wait >= left:
        raise UsageError(
            f"`--deadline {deadline}` leaves no time for anything once hosts were waited for, up to"
            f" {show_duration(settings.wait)}",
            code=Code.USAGE,
            hint="give a longer `--deadline`, or a shorter `--wait`: some time before the deadline nothing new is begun",
        )
    return replace(settings, grace=deadline.grace, lock_timeout=min(settings.lock_timeout, left))


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
            ("--accept-foreign", arguments.accept_foreign),
            ("--accept-shrunk", arguments.accept_shrunk),
            ("--accept-sources", arguments.accept_sources),
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
