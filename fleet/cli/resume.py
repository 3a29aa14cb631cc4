"""`fleet resume HOST`: takes a suspension back that `fleet suspend` gave."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options, which_fleet

if TYPE_CHECKING:
    from fleet.cli.which_fleet import WhichFleet
    from fleet.names import HostName


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "resume",
        "Takes back what `fleet suspend` said of a host: the daemon brings it to its desired state at once, other runs"
        " from now on.",
        epilog="What the inventory itself says by `suspend` stays until it is taken out there.",
    )
    parser.add_argument("host", metavar="HOST", help="a host of the inventory")
    which_fleet.add_options(parser)
    options.output(parser, ("text", "json"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, also for a host that was not suspended. Raises `UsageError` for an unknown host and for one that the
    inventory suspends, `InputError`, `StateError`.
    """
    from datetime import UTC, datetime

    from fleet.cli.configuration import settings_of
    from fleet.cli.leaving_alone import meant_host, must_be_known, told_daemon
    from fleet.cli.streams import data
    from fleet.errors import ExitCode
    from fleet.render.writing import FORMAT, written
    from fleet.state.suspensions import Suspensions

    settings = settings_of(arguments).settings
    fleet = which_fleet.which_fleet(arguments, settings)
    host = meant_host(arguments, fleet)
    with Suspensions(settings.state_dir, fleet.name) as suspensions:
        was = host in suspensions.all(datetime.now(UTC))
        daemon = told_daemon(settings, fleet, "/api/resume", {"host": host})
        if not daemon:
            must_be_known(settings, fleet, host)
            if was:
                suspensions.resume(host)
    _refuse_if_by_inventory(fleet, host)
    if arguments.output == "json":
        document = {"type": "resumption", "format": FORMAT, "name": fleet.name, "host": host, "was_suspended": was}
        data(written({**document, "daemon": daemon}))
    else:
        data(f"{host} is in service again\n" if was else f"{host} was not suspended\n")
    return ExitCode.AS_DESIRED


def _refuse_if_by_inventory(fleet: WhichFleet, host: HostName) -> None:
    from fleet.codes import Code
    from fleet.errors import UsageError

    if fleet.desired is None:
        return
    declared = fleet.desired.hosts[host].host
    if declared.suspended is not None:
        raise UsageError(
            f"`{host}` is suspended by the inventory: {declared.place}",
            code=Code.USAGE,
            hint="take `suspend` out there",
        )
