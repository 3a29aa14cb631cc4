"""`fleet status`: how every model stands on every host."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "status",
        "Looks at the hosts and shows how every declared model stands: current, drifted, missing, blocked, in memory."
        " Many hosts are summed up by model; `-v` shows each.",
    )
    options.sources(parser)
    options.selection(parser)
    options.contents(parser)
    options.run_settings(parser)
    options.output(parser, ("text", "json"))
    parser.set_defaults(run=run, show_content=False)


def run(arguments: argparse.Namespace) -> int:
    """Exit code by `design.md` 10, as of a plan."""
    from fleet.cli.configuration import settings_of
    from fleet.cli.planning import planned
    from fleet.cli.show_result import paint_of, plain_listener
    from fleet.cli.streams import data
    from fleet.cli.work import saved_arguments, work_of
    from fleet.quantities import share
    from fleet.reconcile.report import exit_code
    from fleet.reconcile.run import report_of
    from fleet.render.status import status_document, status_text

    settings = settings_of(arguments).settings
    work = work_of(saved_arguments(arguments), settings, arguments).work
    report = report_of(planned(work, plain_listener(arguments)))
    plan = report.plan
    allowed = share(settings.allow_unreachable, len(plan.hosts))
    code = exit_code(report, allowed_unobserved=allowed, applied=False)
    if arguments.output == "json":
        from fleet.render.writing import written

        data(written(status_document(report, work.desired, plan.observations, code)))
    else:
        data(
            status_text(plan, work.desired, plan.observations, paint=paint_of(arguments), everything=arguments.verbose)
        )
    return code
