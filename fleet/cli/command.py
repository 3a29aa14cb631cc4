"""Runs one verb. The one place where errors and signals become messages and exit codes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from fleet.cli.parser import build, parse
from fleet.cli.streams import data, talk
from fleet.codes import Code
from fleet.errors import ExitCode, FleetError, UsageError
from fleet.foreign import clean

_LINE = 2000
"""Characters of one line of a message."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: everything that lets go of an interrupted run lets go of a terminated one."""


def run(argv: Sequence[str]) -> int:
    """One command line, without the program's name. Faults of fleet itself are let through with their traceback."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            # A terminal of another encoding is no reason to fail over an arrow.
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    output = None
    try:
        if list(argv) == ["version"] or list(argv[:1]) == ["--version"]:
            data(f"fleet {installed_version()}\n")
            return ExitCode.AS_DESIRED
        if argv[:1] and argv[0].partition("=")[0] == "--print-completion":
            data(_completion(argv))
            return ExitCode.AS_DESIRED
        arguments = parse(argv)
        output = getattr(arguments, "output", None)
        return _run(arguments)
    except FleetError as error:
        return _told(error, output)
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        if not all(isinstance(error, FleetError) for error in errors):
            raise
        return _told(next(error for error in errors if isinstance(error, FleetError)), output)
    except Terminated:
        talk("error: terminated\n")
        return ExitCode.TERMINATED
    except KeyboardInterrupt:
        talk("error: interrupted\n")
        return ExitCode.INTERRUPTED
    except SystemExit as end:  # argparse, after it printed a help text
        return end.code if isinstance(end.code, int) else ExitCode.AS_DESIRED


def message_of(error: FleetError) -> str:
    """`error: …`, an empty line, `hint: …`; faults in files stand in front, in the form that editors read."""
    from fleet.render.writing import cleaned_lines

    lines = cleaned_lines(str(error), _LINE)
    if error.code is Code.MANIFEST_WRONG and _of_manifests(error):
        faults = sum(not line.startswith(" ") for line in lines)
        lines.append(f"error: {faults} fault{'s' if faults != 1 else ''} in inventory and manifests")
    else:
        lines[0] = f"error: {lines[0]}"
    if error.hint:
        lines += ["", f"hint: {clean(error.hint, limit=_LINE)}"]
    return "\n".join(lines) + "\n"


def _of_manifests(error: FleetError) -> bool:
    """A scenario of the simulator can be wrong in the same way."""
    from fleet.manifest.faults import ManifestErrors

    return isinstance(error, ManifestErrors)


def _run(arguments: argparse.Namespace) -> int:
    code: int = arguments.run(arguments)
    return int(code)


def _told(error: FleetError, output: str | None) -> int:
    talk(message_of(error))
    if output in {"json", "jsonl"}:
        from fleet.render.writing import error_document, in_one_line, written

        document = error_document(error)
        data(written(document) if output == "json" else in_one_line(document))
    elif output == "markdown":
        from fleet.render.markdown_error import error_markdown

        data(error_markdown(error))
    return error.exit_code


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def installed_version() -> str:
    """Of fleet itself."""
    from importlib.metadata import version

    return version("ollama-fleet")


def _completion(argv: Sequence[str]) -> str:
    import shtab

    from fleet.cli.main import SHELLS, VERBS

    shell = argv[0].partition("=")[2] or "".join(argv[1:2])
    if shell not in SHELLS:
        raise UsageError(
            f"`--print-completion`: `{shell}` is no shell that is known",
            code=Code.USAGE,
            hint=f"there are {', '.join(SHELLS)}",
        )
    script: str = shtab.complete(build(verb for verb, _ in VERBS), shell=shell)
    return script + "\n"
