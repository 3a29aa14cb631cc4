"""The options that several verbs share, in the groups in which help shows them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fleet.cli.main import VERBS

FORMATS = ("text", "json", "jsonl", "markdown")
_FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
"""What completion scripts call for a path; written out, so that shtab is loaded for making scripts alone."""


def sources(parser: argparse.ArgumentParser) -> None:
    """What is desired, and of which hosts."""
    group = parser.add_argument_group("what is read")
    manifests = group.add_argument(
        "-f",
        dest="files",
        action="append",
        default=[],
        metavar="PATH",
        help="a manifest, a folder of manifests, or `-` for standard input; may be given several times; default"
        " `ollama-fleet.yaml`, else the folder `ollama-fleet`, in the working directory",
    )
    inventory = group.add_argument(
        "-i",
        dest="inventory",
        action="append",
        default=[],
        metavar="PATH",
        help="the inventory: a file or a folder; with it, manifests may not name hosts, groups, registries or policy",
    )
    a_path(manifests)
    a_path(inventory)
    group.add_argument(
        "--self",
        dest="self_name",
        metavar="NAME",
        help="this machine is the host NAME of the inventory, reached at OLLAMA_HOST; the others are left alone",
    )
    group.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        type=_label,
        metavar="KEY=VALUE",
        help="a label of this machine, with `--self`; may be given several times",
    )


def selection(parser: argparse.ArgumentParser) -> None:
    """Which part of it the run is about."""
    group = parser.add_argument_group("which part of it", "Filters choose; they never change what is desired.")
    hosts(group)
    group.add_argument(
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="GLOB",
        help="only models whose name matches, and what those need; may be given several times",
    )


def hosts(group: argparse._ActionsContainer) -> None:
    """Which hosts of the inventory."""
    group.add_argument(
        "--host",
        dest="hosts",
        action="append",
        default=[],
        metavar="GLOB",
        help="only hosts whose name matches; may be given several times",
    )
    group.add_argument(
        "-l",
        dest="selector",
        metavar="SELECTOR",
        help="only hosts that the selector matches, written as in `where`: `site=tokyo,vram>=48GB`",
    )


def guards(parser: argparse.ArgumentParser) -> None:
    """What a person allows for this one run."""
    group = parser.add_argument_group("what is allowed, for this run only")
    group.add_argument(
        "--max-deletes",
        type=number,
        metavar="N",
        help="delete up to N models on each host, instead of what `policy.max_deletes` says; a plan with more deletes none",
    )
    group.add_argument(
        "--accept-emptied",
        action="append",
        default=[],
        metavar="HOST",
        help="go on with HOST although it lost most of its models since the last run; may be given several times",
    )
    group.add_argument(
        "--accept-foreign",
        action="append",
        default=[],
        metavar="HOST",
        help="make again on HOST what somebody else keeps changing; may be given several times",
    )
    group.add_argument(
        "--accept-shrunk",
        action="store_true",
        help="go on although the desired state became empty or lost more than half since the last run",
    )
    group.add_argument(
        "--accept-sources",
        action="store_true",
        help="take the manifests named by `-f` and `-i` for all there are from now on, and prune what they leave out",
    )


def contents(parser: argparse.ArgumentParser, *, rebuild: bool = False) -> None:
    """What contents count as accepted, and what is known of local files."""
    group = parser.add_argument_group("contents")
    a_path(
        group.add_argument(
            "--lock-file",
            metavar="FILE",
            help="the lock file; default `ollama-fleet.lock` beside the first manifest",
        )
    )
    group.add_argument(
        "--rehash", action="store_true", help="read every local file anew instead of trusting what was hashed before"
    )
    if rebuild:
        group.add_argument(
            "--rebuild-unverified",
            action="store_true",
            help="build created models anew that neither evidence nor the host's answer proves",
        )


def run_settings(parser: argparse.ArgumentParser, *, lock: bool = False) -> None:
    """Settings that are often wanted for one run; `fleet settings` lists all of them."""
    group = parser.add_argument_group("settings")
    settings_file(group)
    how_many(group)
    group.add_argument(
        "--wait",
        metavar="DURATION",
        help="how long to ask hosts again that do not answer yet, such as `10m` for one that is still starting;"
        " default 0s",
    )
    if lock:
        lock_timeout(group)


def how_many(group: argparse._ActionsContainer) -> None:
    """How many hosts at once, and how many may be missing."""
    group.add_argument("--parallelism", metavar="N", help="how many hosts are worked on at once; default 32")
    group.add_argument(
        "--allow-unreachable",
        metavar="N|P%",
        help="how many hosts may be unobserved before the exit code is 7: a number or a percentage; default 0",
    )


def lock_timeout(group: argparse._ActionsContainer) -> None:
    """How long the lock of the fleet may be another run's."""
    group.add_argument(
        "--lock-timeout",
        metavar="DURATION",
        help="how long to wait for another run on the same fleet to end, such as `5m`; default 0s",
    )


def settings_file(group: argparse._ActionsContainer) -> None:
    file = group.add_argument(
        "--settings",
        metavar="FILE",
        help="the settings file; default `$OLLAMA_FLEET_SETTINGS`, else `ollama-fleet/settings.yaml` in"
        " `$XDG_CONFIG_HOME`, if it is there",
    )
    a_path(file)


def a_path(action: argparse.Action) -> None:
    """Has completion offer files for an argument."""
    action.complete = _FILES  # type: ignore[attr-defined]  # shtab's way


def output(
    parser: argparse.ArgumentParser, formats: Sequence[str] = FORMATS, *, content: bool = False, verbose: bool = True
) -> None:
    """How the result is written."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o",
        dest="output",
        choices=formats,
        default="text",
        metavar="FORMAT",
        help=f"{', '.join(formats[:-1])} or {formats[-1]}; default text",
    )
    group.add_argument("--no-color", dest="colour", action="store_false", help="no colour; so does NO_COLOR")
    if verbose:
        group.add_argument("-v", dest="verbose", action="store_true", help="tell more: every host and every step")
    if content:
        group.add_argument(
            "--show-content",
            action="store_true",
            help="show system prompts, templates, messages and licences, which are otherwise shown as hash and size",
        )


def new_parser(subparsers: Any, verb: str, about: str, *, epilog: str | None = None) -> argparse.ArgumentParser:
    """A verb's parser; `about` is what its help begins with."""
    # Completion offers only verbs that have a `help`.
    parser: argparse.ArgumentParser = subparsers.add_parser(
        verb, help=dict(VERBS)[verb], description=about, epilog=epilog
    )
    return parser


def number(text: str) -> int:
    """A whole number, zero included."""
    if text.startswith("-") and text[1:].isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is below 0")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number")
    return int(text)


def duration(text: str) -> float:
    """Seconds, more than none."""
    from fleet.quantities import InvalidQuantity
    from fleet.quantities import duration as seconds_of

    try:
        seconds = seconds_of(text)
    except InvalidQuantity as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no time at all")
    return seconds


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is no KEY=VALUE")
    return key, value
