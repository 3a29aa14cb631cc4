"""`fleet plan`: what differs and which steps would mend it. Changes nothing."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "plan",
        "Looks at the hosts and shows what is not as desired, and the steps that would mend it. Changes nothing.",
    )
    options.a_path(
        parser.add_argument("--save", metavar="FILE", help="write the plan to a private file, for `fleet apply FILE`")
    )
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 where there are steps to take")
    options.sources(parser)
    options.selection(parser)
    options.guards(parser)
    options.contents(parser, rebuild=True)
    options.run_settings(parser)
    options.output(parser, content=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code by `design.md` 10."""
    from fleet.cli.configuration import settings_of
    from fleet.cli.planning import planned
    from fleet.cli.show_result import listener_of, show_plan
    from fleet.cli.streams import DataMeanwhile, talk
    from fleet.cli.work import saved_arguments, work_of
    from fleet.codes import Code
    from fleet.errors import UsageError
    from fleet.quantities import share
    from fleet.reconcile.report import exit_code
    from fleet.reconcile.run import report_of
    from fleet.reconcile.saved import save

    if arguments.save and "-" in (*arguments.files, *arguments.inventory):
        raise UsageError("`--save` needs files that can be read again, and `-` cannot", code=Code.USAGE)
    settings = settings_of(arguments).settings
    work = work_of(saved_arguments(arguments), settings, arguments)
    lines = DataMeanwhile()
    plan = planned(work.work, listener_of(arguments, lines))
    if arguments.save:
        save(plan, work.arguments, arguments.save)
    report = report_of(plan)
    allowed = share(settings.allow_unreachable, len(plan.hosts))
    code = exit_code(report, allowed_unobserved=allowed, applied=False, detailed=arguments.detailed_exitcode)
    show_plan(report, code, arguments)
    if arguments.save:
        talk(f"saved: `fleet apply {arguments.save}` carries it out\n")
    lines.end()
    return code
