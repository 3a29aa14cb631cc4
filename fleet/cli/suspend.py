"""`fleet suspend HOST`: leaves a host alone from now on, without a change of any file."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options, which_fleet

_LONGEST = 366 * 24 * 3600.0
"""Seconds; for longer the inventory is the place."""


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "suspend",
        "Has a host only looked at from now on, by the daemon and by every other run: nothing on it is changed. What is"
        " at work there already is carried to its end.",
        epilog="`fleet resume HOST` takes it back. For good, say `suspend` in the inventory.",
    )
    parser.add_argument("host", metavar="HOST", help="a host of the inventory")
    parser.add_argument("--for", dest="lasting", type=_duration, metavar="DURATION", help="how long, such as `2h`")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for those who wonder")
    which_fleet.add_options(parser)
    options.output(parser, ("text", "json"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises `UsageError` for an unknown host, `InputError`, `StateError`."""
    from datetime import UTC, datetime, timedelta

    from fleet.cli.configuration import settings_of
    from fleet.cli.leaving_alone import meant_host, must_be_known, told_daemon
    from fleet.cli.streams import data
    from fleet.errors import ExitCode
    from fleet.render.words import sentence
    from fleet.render.writing import FORMAT, cleaned, written
    from fleet.state.suspensions import Suspensions

    settings = settings_of(arguments).settings
    fleet = which_fleet.which_fleet(arguments, settings)
    host = meant_host(arguments, fleet)
    now = datetime.now(UTC)
    until = None if arguments.lasting is None else now + timedelta(seconds=arguments.lasting)
    body = {"host": host, "for_seconds": arguments.lasting, "reason": arguments.reason}
    daemon = told_daemon(settings, fleet, "/api/suspend", body)
    if not daemon:
        must_be_known(settings, fleet, host)
        with Suspensions(settings.state_dir, fleet.name) as suspensions:
            suspensions.suspend(host, now, until, arguments.reason)
    if arguments.output == "json":
        document = {
            "type": "suspension",
            "format": FORMAT,
            "name": fleet.name,
            "host": host,
            "until": None if until is None else f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "reason": cleaned(arguments.reason),
            "daemon": daemon,
        }
        data(written(document))
    else:
        when = f"until `fleet resume {host}`" if until is None else f"until {until:%Y-%m-%dT%H:%M:%SZ}"
        why = f": {sentence(arguments.reason)}" if arguments.reason else ""
        data(f"{host} is suspended {when}{why}\n")
    return ExitCode.AS_DESIRED


def _duration(text: str) -> float:
    from fleet.quantities import InvalidQuantity, duration

    try:
        seconds = duration(text)
    except InvalidQuantity as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"`{text}` is not between a moment and a year (8784h)")
    return seconds
