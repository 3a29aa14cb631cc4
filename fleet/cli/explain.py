"""`fleet explain CODE`: cause and cure of an error code; without one, all of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.codes import Code


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers, "explain", "Tells what an error code means, why it comes and what helps. Without a code, lists all."
    )
    parser.add_argument("code", nargs="?", metavar="CODE", help="such as `FLT-204` or `204`")
    options.output(parser, ("text", "json"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; raises `UsageError` for a code that does not exist."""
    from fleet.cli.streams import data
    from fleet.render.codes import code_document, code_text, list_document, list_text

    code = None if arguments.code is None else _code(arguments.code)
    if arguments.output == "json":
        from fleet.render.writing import written

        data(written(list_document() if code is None else code_document(code)))
    else:
        data(list_text() if code is None else code_text(code))
    return 0


def _code(text: str) -> Code:
    from fleet.codes import Code
    from fleet.errors import UsageError

    wanted = text.upper().removeprefix("FLT-")
    for code in Code:
        if str(code.value.number) == wanted:
            return code
    raise UsageError(
        f"there is no code `{text[:40]}`", code=Code.USAGE, hint="`fleet explain` without a code lists all of them"
    )
