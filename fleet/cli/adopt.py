"""`fleet adopt`: records declared models as they are: what nothing proves, and whose they are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.names import HostName, ModelName
    from fleet.reconcile.remembering import Adopted


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "adopt",
        "Looks at the hosts, and records every created model that is `unverified` as it is now: from then on a change"
        " of its inputs, its base or its content is noticed. And takes over every declared model that is there as"
        " desired: with `policy.prune: owned` it is deleted once nobody declares it any more, as if fleet had put it there."
        " No host is changed.",
        epilog="`fleet apply --rebuild-unverified` builds unverified models anew instead.",
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
    from fleet.reconcile.run import spoken
    from fleet.render.left_alone import unobserved_block
    from fleet.render.words import counted
    from fleet.state.memory import Memory

    settings = settings_of(arguments).settings
    work = work_of(saved_arguments(arguments), settings, arguments).work
    with alone(settings, work.desired.name):
        plan = planned(work, plain_listener(arguments))
        with Memory(settings.state_dir, work.desired.name) as memory:
            adopted = adopt(work.desired, spoken(work), plan, memory, work.fingerprint)
    unseen = len(plan.unobserved) > share(settings.allow_unreachable, len(plan.hosts))
    code = ExitCode.UNOBSERVED if unseen else ExitCode.AS_DESIRED
    if arguments.output == "json":
        data(_document(adopted, [each.host for each in plan.unobserved], code))
        return code
    lines = [f"{host}: {model}: recorded as it is" for host, model in adopted.recorded]
    lines += [f"{host}: {model}: taken over" for host, model in adopted.taken_over]
    lines += unobserved_block(plan.unobserved, everything=arguments.verbose) if plan.unobserved else []
    recorded, taken_over = len(adopted.recorded), len(adopted.taken_over)
    lines.append(f"Recorded as they are: {counted(recorded, 'model')}" if recorded else "Nothing is unverified")
    if taken_over:
        lines.append(f"Taken over: {counted(taken_over, 'model')}, which `policy.prune: owned` may delete later")
    else:
        lines.append("Nothing to take over: what is there as desired is fleet's own already")
    data("\n".join(lines) + "\n")
    return code


def _document(adopted: Adopted, unobserved: list[HostName], code: int) -> str:
    from fleet.render.writing import FORMAT, written

    return written(
        {
            "type": "adoption",
            "format": FORMAT,
            "adopted": _models(adopted.recorded),
            "taken_over": _models(adopted.taken_over),
            "unobserved": unobserved,
            "exit_code": int(code),
        }
    )


def _models(models: Sequence[tuple[HostName, ModelName]]) -> list[dict[str, str]]:
    return [{"host": host, "model": str(model)} for host, model in models]
