"""`fleet check`: asks models the questions of their entries, and remembers what came of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.errors import ExitCode
    from fleet.manifest.inventory import Host
    from fleet.names import ModelName
    from fleet.reconcile.checks.check_all import Asked


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "check",
        "Loads the models whose entries have a `check`, asks them its questions, and shows which answer as expected."
        " What came of it is remembered: a model that failed and passes now can be the target of an alias again.",
        epilog="Exit code 3 if a model failed or could not be asked, 7 if only hosts could not be looked at.",
    )
    options.sources(parser)
    options.selection(parser)
    group = parser.add_argument_group("settings")
    options.settings_file(group)
    options.how_many(group)
    options.lock_timeout(group)
    options.output(parser, ("text", "json", "markdown"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, 3 or 7. Raises `InputError`, `UsageError`, `LockError`, `StateError`."""
    from fleet.cli.alone import alone
    from fleet.cli.chosen import chosen
    from fleet.cli.configuration import settings_of
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.loading import desired_of
    from fleet.cli.selection import check_names, check_selection
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data, talk
    from fleet.cli.suspended import without_suspended
    from fleet.cli.work import saved_arguments
    from fleet.manifest.pattern import matches
    from fleet.quantities import share
    from fleet.reconcile.checks.check_all import check_all
    from fleet.render.checks import asked_line, checks_document, checks_markdown, checks_text
    from fleet.render.writing import written
    from fleet.state.memory import Memory

    settings = settings_of(arguments).settings
    told = saved_arguments(arguments)
    check_selection(told)
    desired = desired_of(arguments.files, arguments.inventory, arguments.self_name, dict(arguments.labels), settings)
    check_names(told, desired)
    desired = without_suspended(desired, settings)
    every = {name: wanted.host for name, wanted in desired.hosts.items()}
    hosts = [desired.hosts[name] for name in chosen(every, arguments.hosts, arguments.selector)]

    def wanted(name: ModelName) -> bool:
        return not arguments.models or any(matches(glob, name) for glob in arguments.models)

    with alone(settings, desired.name), Memory(settings.state_dir, desired.name) as memory:
        memory.remembered()

        def heard(host: Host, asked: Asked) -> None:
            talk(asked_line(asked))
            if asked.record is not None:
                memory.keep_checked(host.name, host.url, asked.model, asked.record)

        asked, unobserved = run_until_signal(check_all(hosts, wanted, settings, heard))
    missed = {each.host for each in unobserved}
    code = _exit_code(
        [each for each in asked if each.host not in missed],
        too_many_missed=len(missed) > share(settings.allow_unreachable, len(hosts)),
    )
    if arguments.output == "json":
        data(written(checks_document(asked, desired.name, code)))
    else:
        data(
            checks_markdown(asked) if arguments.output == "markdown" else checks_text(asked, paint=paint_of(arguments))
        )
    return code


def _exit_code(asked: Sequence[Asked], *, too_many_missed: bool) -> ExitCode:
    from fleet.errors import ExitCode, highest_ranked
    from fleet.reconcile.checks.check_all import Verdict

    codes = [ExitCode.PARTIAL for each in asked if each.verdict in {Verdict.FAILED, Verdict.NOT_ASKED}]
    return highest_ranked([*codes, *([ExitCode.UNOBSERVED] if too_many_missed else [])])
