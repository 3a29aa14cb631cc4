"""`fleet history [N]`: the passes of a daemon, or one of them with its plan and results."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options, which_fleet

if TYPE_CHECKING:
    from fleet.settings import Settings
    from fleet.state.history import PassRecord

_PASSES = 20
_MOST = 1000


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "history",
        "Lists the passes of `fleet daemon` and `fleet apply`, the newest first: when, why, by which revision, with what outcome. With a"
        " number, shows that pass with its plan and results.",
        epilog="A running daemon is asked; without one, what it recorded is read.",
    )
    parser.add_argument("number", nargs="?", type=options.number, metavar="N", help="the number of a pass")
    parser.add_argument(
        "--limit", type=options.number, metavar="N", default=_PASSES, help=f"how many passes; default {_PASSES}"
    )
    parser.add_argument("--before", type=options.number, metavar="N", help="only passes before the one of this number")
    which_fleet.add_options(parser)
    options.output(parser, ("text", "json"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises `UsageError` for a pass that the history does not have, `InputError`, `StateError`."""
    from fleet.cli.configuration import settings_of
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data
    from fleet.codes import Code
    from fleet.errors import ExitCode, UsageError
    from fleet.render.history import history_document, history_text, pass_document, pass_text
    from fleet.render.writing import written

    settings = settings_of(arguments).settings
    fleet = which_fleet.which_fleet(arguments, settings).name
    if arguments.number is None:
        passes = _passes(settings, fleet, max(1, min(arguments.limit, _MOST)), arguments.before)
        if arguments.output == "json":
            data(written(history_document(fleet, passes)))
        else:
            data(history_text(fleet, passes, paint=paint_of(arguments)))
        return ExitCode.AS_DESIRED
    found = _one(settings, fleet, arguments.number)
    if found is None:
        raise UsageError(
            f"the history of `{fleet}` has no pass {arguments.number}",
            code=Code.USAGE,
            hint="`fleet history` lists those that there are; only so many are kept as `history_keep` says",
        )
    if arguments.output == "json":
        data(written(pass_document(fleet, *found)))
    else:
        data(pass_text(fleet, *found, paint=paint_of(arguments), everything=arguments.verbose))
    return ExitCode.AS_DESIRED


def _passes(settings: Settings, fleet: str, limit: int, before: int | None) -> tuple[PassRecord, ...]:
    from fleet.cli.planning import note
    from fleet.cli.running_daemon import ask_daemon
    from fleet.render.history import record_of
    from fleet.state.history import History

    if before is not None and before <= 1:
        return ()
    beyond = "" if before is None else f"&before={before}"
    answer = ask_daemon(settings, fleet, "GET", f"/api/history?limit={limit}{beyond}")
    if answer is not None and answer[0] == 200:
        try:
            return tuple(record_of(part) for part in answer[1]["passes"])
        except (KeyError, TypeError, ValueError):
            pass  # a daemon of another version; its record tells as much
    with History(settings.state_dir, fleet) as history:
        found = history.list(limit, before)
        note(history.notes)
        return found


def _one(settings: Settings, fleet: str, number: int) -> tuple[PassRecord, dict[str, Any] | None] | None:
    from fleet.cli.planning import note
    from fleet.cli.running_daemon import ask_daemon
    from fleet.render.history import record_of
    from fleet.state.history import History

    answer = ask_daemon(settings, fleet, "GET", f"/api/history/{number}")
    if answer is not None and answer[0] == 200:
        try:
            return record_of(answer[1]), answer[1] if answer[1].get("hosts") is not None else None
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # as above
    with History(settings.state_dir, fleet) as history:
        found = history.one(number)
        note(history.notes)
        return found
