"""Where the settings of one command are from: finds and reads the settings file, and hands the rest over."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fleet.codes import Code
from fleet.errors import InputError
from fleet.settings import PREFIX, Given, Resolved, Settings, resolve

DAEMON_FILE = "/etc/ollama-fleet/daemon.yaml"
"""Where `fleet daemon` looks for its settings first."""

_FLAGS = ("parallelism", "allow_unreachable", "wait", "lock_timeout")


def settings_of(arguments: argparse.Namespace) -> Resolved:
    """The settings for a command line. Raises `InputError` with every fault of all sources."""
    flags = {
        name: Given(getattr(arguments, name), f"--{name.replace('_', '-')}")
        for name in _FLAGS
        if getattr(arguments, name, None) is not None
    }
    path = _file(arguments)
    return resolve(environment=os.environ, file=None if path is None else read_file(path), flags=flags)


def daemon_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of `fleet daemon`. Raises `InputError` with every fault of all sources."""
    flags = {
        name: Given(value, f"--{option}")
        for name, option, value in (
            ("interval", "interval", arguments.interval),
            ("listen", "listen", arguments.listen),
            ("self_name", "self", arguments.self_name),
            ("dry_run", "dry-run", "true" if arguments.dry_run else None),
            ("manifests", "f", _paths(arguments.files)),
            ("inventory", "i", _paths(arguments.inventory)),
        )
        if value is not None
    }
    path = _file(arguments, DAEMON_FILE)
    return resolve(environment=os.environ, file=None if path is None else read_file(path), flags=flags).settings


def _paths(given: list[str]) -> str | None:
    """Several paths as one setting writes them."""
    return ":".join(os.path.abspath(path) for path in given) or None  # noqa: PTH100  # links stay as they were written


def read_file(path: str) -> dict[str, Given]:
    """The values of a settings file with their places; which names there are is not judged here."""
    from fleet.manifest.faults import Faults, Misread
    from fleet.manifest.files import Source, read_source, shown_path
    from fleet.manifest.reading import read_documents
    from fleet.manifest.tree import Mapping, Scalar, place_of

    shown = shown_path(path)
    faults = Faults()
    try:
        documents = read_documents(read_source(Source(shown, Path(path))), shown, faults)
    except Misread as error:
        raise _wrong([f"{shown}: {error}"]) from error
    if len(documents) != 1 and not faults.found:
        raise _wrong([f"{shown}: one document is wanted, and there are {len(documents)}"])
    wrong = [str(fault) for fault in faults.found]
    found: dict[str, Given] = {}
    for document in documents:
        if not isinstance(document, Mapping):
            wrong.append(f"{place_of(shown, document.mark)}: settings are written as `name: value`")
            continue
        for name, (mark, node) in document.entries.items():
            place = str(place_of(shown, mark))
            if isinstance(node, Scalar) and not node.null:
                found[name] = Given(node.text, place)
            else:
                wrong.append(f"{place}: {name}: a setting is one value")
    if wrong:
        raise _wrong(wrong)
    return found


def _file(arguments: argparse.Namespace, before: str | None = None) -> str | None:
    """The file that was asked for; without asking, the one in its usual place if it is there, and `before` that."""
    asked: str | None = getattr(arguments, "settings", None) or os.environ.get(f"{PREFIX}SETTINGS")
    if asked:
        return asked
    if before is not None and Path(before).exists():
        return before
    home = os.environ.get("HOME", "")
    usual = os.environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    path = f"{usual}/ollama-fleet/settings.yaml"
    return path if usual and Path(path).exists() else None


def _wrong(faults: list[str]) -> InputError:
    return InputError(
        "\n  ".join(faults) if len(faults) == 1 else "\n  ".join(["the settings file is wrong:", *faults]),
        code=Code.SETTINGS_WRONG,
        hint="`fleet settings` lists every setting, its unit and where its value is from",
    )
