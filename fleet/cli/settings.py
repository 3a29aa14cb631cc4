"""`fleet settings`: every setting, its value, and where that is from."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "settings",
        "Lists every setting with its value, where that is from, and what it means.",
        epilog="A flag wins over an OLLAMA_FLEET_ variable, that over the settings file, that over the default.",
    )
    options.run_settings(parser, lock=True)
    options.output(parser, ("text", "json"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; raises `InputError` with every fault."""
    import shutil

    from fleet.cli.configuration import settings_of
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data
    from fleet.render.settings import settings_document, settings_text

    resolved = settings_of(arguments)
    if arguments.output == "json":
        from fleet.render.writing import written

        data(written(settings_document(resolved)))
    else:
        width = min(max(shutil.get_terminal_size((100, 24)).columns, 40), 100)
        data(settings_text(resolved, paint=paint_of(arguments), width=width))
    return 0
