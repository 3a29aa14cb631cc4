"""`fleet validate`: inventory and manifests checked offline, every fault at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.manifest.faults import Fault
    from fleet.manifest.item import Desired


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "validate",
        "Checks inventory and manifests and asks no host. Every fault is told at once, as"
        " `file:line:column: path.to.key: fault`.",
    )
    options.sources(parser)
    options.settings_file(parser.add_argument_group("settings"))
    options.output(parser, ("text", "json", "markdown"), verbose=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if all is sound; else raises `InputError` with every fault, or for JSON writes them and gives 4."""
    from fleet.cli.configuration import settings_of
    from fleet.cli.loading import desired_of
    from fleet.cli.streams import data, talk
    from fleet.manifest.faults import ManifestErrors

    settings = settings_of(arguments).settings
    try:
        desired = desired_of(
            arguments.files, arguments.inventory, arguments.self_name, dict(arguments.labels), settings
        )
    except ManifestErrors as error:
        if arguments.output != "json":
            raise
        from fleet.cli.command import message_of

        talk(message_of(error))
        data(_document(None, error.faults, int(error.exit_code)))
        return error.exit_code
    if arguments.output == "json":
        data(_document(desired, (), 0))
    elif arguments.output == "markdown":
        from fleet.render.comment import comment, marker
        from fleet.render.inline import code

        counts = _text(desired).partition(": ")[2].strip()
        data(comment(marker("validation", desired.name), f"fleet {code(desired.name)}: {counts}", (), more=""))
    else:
        data(_text(desired))
    return 0


def _text(desired: Desired) -> str:
    hosts, models, absent = _counts(desired)
    gone = f", {absent} to be gone" if absent else ""
    return f"fleet `{desired.name}`: no fault; {hosts} host{'s' * (hosts != 1)}, {models} model{'s' * (models != 1)}{gone}\n"


def _document(desired: Desired | None, faults: tuple[Fault, ...], exit_code: int) -> str:
    from fleet.render.writing import FORMAT, written

    document: dict[str, Any] = {"type": "validation", "format": FORMAT, "sound": not faults}
    if desired is not None:
        hosts, models, absent = _counts(desired)
        document |= {"name": desired.name, "hosts": hosts, "models": models, "absent": absent}
    document["faults"] = [
        {
            "file": fault.place.file,
            "line": fault.place.line,
            "column": fault.place.column,
            "path": fault.path or None,
            "text": fault.text,
            "hint": fault.hint,
        }
        for fault in faults
    ]
    document["exit_code"] = exit_code
    return written(document)


def _counts(desired: Desired) -> tuple[int, int, int]:
    """Hosts, and how many different models and patterns are asked of them."""
    models = {item.name for wanted in desired.hosts.values() for item in wanted.items}
    absent = {item.pattern.text.lower() for wanted in desired.hosts.values() for item in wanted.absent}
    return len(desired.hosts), len(models), len(absent)
