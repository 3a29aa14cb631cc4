"""The entry point `fleet`: answers `--help` from a table at once, and loads a verb's module only when it is named."""

from __future__ import annotations

import sys
from collections.abc import Sequence

VERBS = (
    ("validate", "check inventory and manifests, without asking any host"),
    ("plan", "show what differs and which steps would mend it; changes nothing"),
    ("apply", "carry the steps out, and look again to prove it"),
    ("status", "show how every model stands on every host"),
    ("why", "tell which entry decides about a model on a host, and what is not so yet"),
    ("show", "show a saved plan"),
    ("lock", "write down which content each pulled model stands for"),
    ("outdated", "compare hosts, lock file and registries, without pulling"),
    ("adopt", "record created models as they are, where nothing proves them"),
    ("check", "ask models the questions of their entries"),
    ("import", "write manifests from what running hosts hold"),
    ("daemon", "keep the fleet at its desired state until a signal ends it"),
    ("suspend", "leave a host alone from now on, without a change of any file"),
    ("resume", "take a suspension back"),
    ("history", "list the passes of a daemon, or show one with its plan and results"),
    ("doctor", "look for what is wrong with hosts, credentials and this machine"),
    ("snapshot", "record what hosts hold, for `fleet rehearse`"),
    ("rehearse", "try a change on simulated copies of the hosts, without contacting any"),
    ("schema", "print the JSON Schema of inventory and manifests"),
    ("settings", "list every setting, its value and where that is from"),
    ("explain", "tell cause and cure of an error code"),
    ("simulate", "serve simulated Ollama hosts and a registry on this machine"),
    ("demo", "simulate three hosts, apply the tour to them, show the result"),
)
"""Every verb with what it does; `fleet.cli.<verb>` is its module."""

SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line, without the program's name, and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help", *arguments[2:]]
    if arguments[:1] in (["--help"], ["-h"]):
        from fleet.cli.streams import data

        data(overview())
        return 0
    from fleet.cli.command import run

    return run(arguments)


def overview() -> str:
    """What `fleet --help` prints, ending with a newline."""
    width = max(len(verb) for verb, _ in VERBS)
    verbs = "\n".join(f"  {verb:<{width}}  {does}" for verb, does in VERBS)
    return f"""\
usage: fleet VERB [OPTION ...]

Keeps fleets of Ollama hosts at a declared state.

verbs:
{verbs}

options:
  -h, --help                  show this text
  --version                   show the version
  --print-completion SHELL    print a completion script for {", ".join(SHELLS[:-1])} or {SHELLS[-1]}

`fleet VERB --help` tells about one verb.
"""
