"""`fleet adopt`: records created models that nothing proves as they are, so that the next change is noticed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.names import HostName, ModelName


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "adopt",
        "Looks at the hosts, and records every created model that is `unverified` as it is now: from then on a change"
        " of its inputs, its base or its content is noticed. No host is changed.",
        epilog="`fleet apply --rebuild-unverified` builds such models anew instead.",
    )
    options.sources(parser)
    options.selection(parser)
    options.contents(parser)
    options.run_settings(parser, lock=True)
    options.output(parser, ("text", "json"))
    parser.set_defaults(run=run, show_content=False)


def run(arguments: argparse.Namespace) -> int:
    """0 if every selected host was seen, else as `fleet plan`. Raises `LockError` and `StateError`."""
    from fleet.cli.alone import alone
    from fleet.cli.configuration import settings_of
    from fleet.cli.planning import planned
    from fleet.cli.show_result import plain_listener
    from fleet.cli.streams import data
    from fleet.cli.work import saved_arguments, work_of
    from fleet.errors import ExitCode
    from fleet.quantities import share
    from fleet.reconcile.remembering import adopt
    from fleet.render.left_alone import unobserved_block
    from fleet.render.words import counted
    from fleet.state.memory import Memory

    settings = settings_of(arguments).settings
    work = work_of(saved_arguments(arguments), settings, arguments).work
    with alone(settings, work.desired.name):
        plan = planned(work, plain_listener(arguments))
        adopted = adopt(work.desired, plan, Memory(settings.state_dir, work.desired.name), work.fingerprint)
    unseen = len(plan.unobserved) > share(settings.allow_unreachable, len(plan.hosts))
    code = ExitCode.UNOBSERVED if unseen else ExitCode.AS_DESIRED
    if arguments.output == "json":
        data(_document(adopted, [each.host for each in plan.unobserved], code))
        return code
    lines = [f"{host}: {model}" for host, model in adopted]
    lines += unobserved_block(plan.unobserved, everything=arguments.verbose) if plan.unobserved else []
    lines.append(f"Recorded as they are: {counted(len(adopted), 'model')}" if adopted else "Nothing is unverified")
    data("\n".join(lines) + "\n")
    return code


def _document(adopted: Sequence[tuple[HostName, ModelName]], unobserved: list[HostName], code: int) -> str:
    from fleet.render.writing import FORMAT, written

    return written(
        {
            "type": "adoption",
            "format": FORMAT,
            "adopted": [{"host": host, "model": str(model)} for host, model in adopted],
            "unobserved": unobserved,
            "exit_code": int(code),
        }
    )
