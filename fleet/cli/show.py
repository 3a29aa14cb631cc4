"""`fleet show PLAN`: a saved plan. Asks no host."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers, "show", "Shows a plan that `fleet plan --save` wrote, without asking any host."
    )
    options.a_path(parser.add_argument("plan", metavar="PLAN", help="the file"))
    options.output(parser, ("text", "json"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; raises `InputError` or `GuardError` for a file that is no plan, or was edited."""
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data
    from fleet.reconcile.saved import read
    from fleet.render.saved_plan import saved_document, saved_text
    from fleet.render.writing import written

    saved = read(arguments.plan)
    if arguments.output == "json":
        data(written(saved_document(saved)))
    else:
        data(saved_text(saved, paint=paint_of(arguments)))
    return 0
