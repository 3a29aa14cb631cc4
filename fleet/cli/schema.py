"""`fleet schema`: the JSON Schema of inventory and manifests, for editors and other tools."""

from __future__ import annotations

import argparse
from typing import Any

from fleet.cli import options


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "schema",
        "Prints the JSON Schema of inventory and manifests.",
        epilog="An editor with a YAML language server uses it where a file begins with the comment"
        " `# yaml-language-server: $schema=FILE`.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Always 0."""
    from fleet.cli.streams import data
    from fleet.manifest.schema import json_schema
    from fleet.render.writing import written

    data(written(json_schema()))
    return 0
