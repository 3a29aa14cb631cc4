"""The command line's grammar: argparse without abbreviations, its complaints in fleet's form."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

from fleet.cli.main import SHELLS, VERBS
from fleet.codes import Code
from fleet.errors import UsageError

_ARGUMENT = re.compile(r"argument ([^:]+): (.*)", re.DOTALL)
_OPTION = re.compile(r"--[a-z][a-z-]+")


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would print and exit."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "allow_abbrev": False})
        self.verbs: dict[str, Parser] = {}

    def error(self, message: str) -> NoReturn:
        match = _ARGUMENT.match(message)
        if match:
            message = f"`{match[1]}`: {match[2]}"
        raise UsageError(message, code=Code.USAGE, hint=f"see `{self.prog} --help`")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The verb's arguments, `run` among them. Raises `UsageError`; only the chosen verb's module is loaded."""
    verbs = [verb for verb, _ in VERBS]
    verb = argv[0] if argv else ""
    if not verb:
        raise UsageError("no verb", code=Code.USAGE, hint="see `fleet --help`")
    if verb.startswith("-"):
        raise UsageError(
            f"`{verb}` stands before the verb, where only `--help`, `--version` and `--print-completion` may",
            code=Code.USAGE,
            hint="write `fleet VERB [OPTION ...]`",
        )
    if verb not in verbs:
        raise UsageError(f"unknown verb `{verb}`", code=Code.USAGE, hint=_nearest(verb, verbs, "fleet --help"))
    parser = build([verb])
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        raise _unknown(parser, verb, unknown)
    return arguments


def build(verbs: Iterable[str]) -> Parser:
    """The parser for some verbs; for all of them it is what completion scripts are made from."""
    parser = Parser(prog="fleet", description="Keeps fleets of Ollama hosts at a declared state.")
    parser.add_argument("--version", action="store_true", help="show the version")
    parser.add_argument("--print-completion", choices=SHELLS, metavar="SHELL", help="print a completion script")
    subparsers = parser.add_subparsers(metavar="VERB", dest="verb", parser_class=Parser)
    for verb in verbs:
        # A verb that is a word of Python's own has a module that other modules can import all the same.
        module = f"{verb}_" if iskeyword(verb) else verb
        import_module(f"fleet.cli.{module}").add_parser(subparsers)
        parser.verbs[verb] = subparsers.choices[verb]
    return parser


def _unknown(parser: Parser, verb: str, unknown: Sequence[str]) -> UsageError:
    first = unknown[0]
    if not first.startswith("-"):
        return UsageError(f"`fleet {verb}` takes no argument `{first}`", code=Code.USAGE, hint=_see(verb))
    options = _OPTION.findall(parser.verbs[verb].format_help())
    name = first.partition("=")[0]
    return UsageError(f"unknown option `{name}`", code=Code.USAGE, hint=_nearest(name, options, f"fleet {verb} --help"))


def _nearest(wrong: str, known: Iterable[str], see: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`? See `{see}`" if close else f"see `{see}`"


def _see(verb: str) -> str:
    return f"see `fleet {verb} --help`"
