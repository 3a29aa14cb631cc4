"""`fleet doctor`: what is wrong with hosts, credentials, registries and this machine, and what to do about it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.manifest.item import Desired
    from fleet.names import HostName
    from fleet.reconcile.inside import Inside
    from fleet.reconcile.observed import Unobserved
    from fleet.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "doctor",
        "Looks at hosts, registries, credentials and this machine, and tells what is wrong or will be, and what to do"
        " about it: hosts that do not answer, security advisories of their versions, addresses that strangers reach,"
        " clocks, certificates, files that others can read, models that are listed and broken, mirrors that Ollama"
        " cannot pull from. Changes nothing. An inventory is enough; with manifests, what they ask for is considered.",
        epilog="Exit code 3 if there is a problem or a warning; notes, and certificates that still hold, give 0.",
    )
    options.sources(parser)
    options.hosts(parser.add_argument_group("which part of it"))
    group = parser.add_argument_group("settings")
    options.settings_file(group)
    group.add_argument("--parallelism", metavar="N", help="how many hosts are looked at at once; default 32")
    options.output(parser, ("text", "json", "markdown"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 or 3. Raises `InputError` for wrong manifests, `UsageError`."""
    import os

    from fleet.cli.chosen import chosen
    from fleet.cli.configuration import settings_of
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data, talk
    from fleet.errors import ExitCode
    from fleet.reconcile.doctor.examine import examine
    from fleet.reconcile.doctor.finding import healthy
    from fleet.render.doctor import doctor_document, doctor_markdown, doctor_text
    from fleet.render.writing import written

    settings = settings_of(arguments).settings
    desired = _desired(arguments, settings)
    names = chosen({name: wanted.host for name, wanted in desired.hosts.items()}, arguments.hosts, arguments.selector)
    hosts = {name: desired.hosts[name] for name in names}

    def seen(host: HostName, _: Inside | Unobserved) -> None:
        if arguments.verbose:
            talk(f"{host}: looked at\n")

    findings = run_until_signal(examine(desired, hosts, settings, os.environ, seen))
    code = ExitCode.AS_DESIRED if healthy(findings) else ExitCode.PARTIAL
    if arguments.output == "json":
        data(written(doctor_document(findings, desired.name, hosts, code)))
    elif arguments.output == "markdown":
        data(doctor_markdown(findings, len(hosts)))
    else:
        data(doctor_text(findings, len(hosts), paint=paint_of(arguments), everything=arguments.verbose))
    return code


def _desired(arguments: argparse.Namespace, settings: Settings) -> Desired:
    """What is asked of hosts; of an inventory without manifests, nothing."""
    from fleet.cli.loading import desired_of
    from fleet.cli.suspended import without_suspended
    from fleet.manifest.files import default_paths
    from fleet.state.folder import StateError

    manifests, inventory = arguments.files, arguments.inventory
    if inventory and not manifests and not default_paths(Path()):
        manifests, inventory = inventory, []
    desired = desired_of(manifests, inventory, arguments.self_name, dict(arguments.labels), settings)
    try:
        return without_suspended(desired, settings)
    except StateError:
        return desired  # what is wrong with the record is among what is looked for
