"""`fleet daemon`: the pass of `fleet apply`, repeated, until a signal ends it."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "daemon",
        "Keeps the fleet at its desired state: passes at an interval, when manifests or their repository change, at"
        " calendar times, on SIGHUP and on request. Settings are those of `fleet settings`, by default from"
        " /etc/ollama-fleet/daemon.yaml. Nothing is deleted or replaced that `fleet apply` would ask about twice:"
        " what a guard refuses waits for a person.",
        epilog="The first SIGINT or SIGTERM begins nothing new and gives what is at work its `grace`; a second one"
        " ends at once. SIGHUP reads everything anew.",
    )
    parser.add_argument(
        "--once", action="store_true", help="one pass with these settings; exit code as of `fleet apply`"
    )
    parser.add_argument("--dry-run", action="store_true", help="look and plan for ever, and change nothing")
    files = parser.add_argument(
        "-f", dest="files", metavar="PATH", action="append", default=[], help="manifests, in place of `manifests`"
    )
    inventory = parser.add_argument(
        "-i", dest="inventory", metavar="PATH", action="append", default=[], help="inventory, in place of `inventory`"
    )
    settings = parser.add_argument("--settings", metavar="FILE", help="the settings file")
    for each in (files, inventory, settings):
        options.a_path(each)
    parser.add_argument(
        "--self", dest="self_name", metavar="NAME", help="the host that this machine is: work on it alone"
    )
    parser.add_argument("--interval", metavar="DURATION", help="how long lies between two passes; default 5m")
    parser.add_argument("--listen", metavar="ADDRESS", help="where page and metrics are served; `none` for nowhere")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 after a signal; else as `design.md` 10 has it. Raises `InputError`, `LockError`, `StateError`."""
    import os
    import sys

    from fleet import lookup
    from fleet.cli.command import installed_version
    from fleet.cli.configuration import daemon_settings
    from fleet.daemon.logs import configure_for
    from fleet.daemon.service import once, serve

    settings = daemon_settings(arguments)
    with configure_for(sys.stderr, os.environ, "debug" if arguments.verbose else "info") as log:
        if arguments.once:
            return lookup.run(once(settings, log, installed_version()))
        return lookup.run(serve(settings, log, os.environ, installed_version()))
