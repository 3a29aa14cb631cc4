"""The JSON file in which one fleet's memory lay before there was a database: read once, then kept under another name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleet.names import HostName, ModelName
from fleet.state.files import sweep
from fleet.state.folder import file_name, unusable
from fleet.state.remembered import HostRemembered, Remembered

_FORMAT = 1
_LARGEST = 64 << 20


def former_path(folder: Path, name: str) -> Path:
    """Where it would be."""
    return folder / f"{file_name(name)}.json"


def read_former(path: Path) -> Remembered:
    """What it holds; nothing at all where there is none. Raises `StateError` for a damaged one, which stays."""
    try:
        with path.open(encoding="utf-8") as file:
            return _from_json(json.loads(file.read(_LARGEST + 1)))
    except (FileNotFoundError, NotADirectoryError):
        return Remembered()
    except OSError as error:
        raise unusable(path, error.strerror or "cannot be read") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise unusable(path, "is damaged, or of another version of fleet") from error


def set_former_aside(path: Path) -> None:
    """Once its content is in the database. Where that fails it is tried again at the next run, and changes nothing."""
    with suppress(OSError):
        path.replace(path.with_name(f"{path.name}.migrated"))
        sweep(path)


def _from_json(read: Mapping[str, Any]) -> Remembered:
    if read["format"] != _FORMAT:
        raise ValueError("another format")
    return Remembered(
        {str(scope): int(items) for scope, items in read["items"].items()},
        {
            HostName.parse(name): HostRemembered(
                str(host["url"]),
                frozenset(str(model) for model in host["models"]),
                {
                    ModelName.parse(model): {
                        str(key): tuple(value) if isinstance(value, list) else value for key, value in options.items()
                    }
                    for model, options in host["loaded"].items()
                },
            )
            for name, host in read["hosts"].items()
        },
    )
