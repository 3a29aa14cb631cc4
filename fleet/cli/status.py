"""`fleet status`: how every model stands on every host."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "status",
        "Looks at the hosts and shows how every declared model stands: current, drifted, missing, blocked, in memory."
        " Many hosts are summed up by model; `-v` shows each.",
        epilog="Without manifests or inventory, here or given, a running `fleet daemon` is asked in place of the hosts.",
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
    from fleet.cli.planning import surveyed
    from fleet.cli.show_result import paint_of, plain_listener
    from fleet.cli.streams import data
    from fleet.cli.work import saved_arguments, work_of
    from fleet.quantities import share
    from fleet.reconcile.report import exit_code
    from fleet.reconcile.run import report_of
    from fleet.render.status import status_document, status_text

    settings = settings_of(arguments).settings
    told = _of_daemon(arguments, settings)
    if told is not None:
        from datetime import UTC, datetime

        from fleet.render.daemon_status import daemon_exit_code, daemon_status_text

        code = daemon_exit_code(told)
        if arguments.output == "json":
            from fleet.render.writing import written

            data(written({**told, "type": "daemon-status", "exit_code": int(code)}))
        else:
            data(daemon_status_text(told, datetime.now(UTC), paint=paint_of(arguments), everything=arguments.verbose))
        return code
    work = work_of(saved_arguments(arguments), settings, arguments).work
    report = report_of(surveyed(work, plain_listener(arguments)))
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


def _of_daemon(arguments: argparse.Namespace, settings: Settings) -> dict[str, Any] | None:
    """What the one daemon of this machine tells; nothing where a part is asked for, where manifests lie here, and where
    there is none, or more than one.
    """
    from pathlib import Path

    from fleet.cli.running_daemon import ask_daemon
    from fleet.manifest.files import default_paths
    from fleet.state.folder import listening

    asked = (
        arguments.files,
        arguments.inventory,
        arguments.self_name,
        arguments.hosts,
        arguments.selector,
        arguments.models,
    )
    if any(asked) or default_paths(Path()):
        return None
    fleets = listening(settings.state_dir)
    if len(fleets) != 1:
        return None
    answer = ask_daemon(settings, fleets[0], "GET", "/api/status")
    return answer[1] if answer is not None and answer[0] == 200 and isinstance(answer[1], dict) else None
