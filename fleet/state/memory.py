"""The small private file in which a fleet finds what its last pass left: one for each fleet name."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.codes import Code
from fleet.errors import FleetError
from fleet.names import HostName, ModelName
from fleet.state.remembered import HostRemembered, Remembered

_FORMAT = 1
_LARGEST = 64 << 20


class StateError(FleetError):
    """The state folder cannot be used as it is."""


class Memory:
    """Reads once, writes atomically at each change. `folder` is made private where it is not there yet."""

    def __init__(self, folder: str, name: str) -> None:
        self._path = Path(folder) / f"{file_name(name)}.json"
        self._remembered: Remembered | None = None

    def remembered(self) -> Remembered:
        """What the last pass left; nothing at all where there was none. Raises `StateError`."""
        if self._remembered is None:
            self._remembered = self._read()
        return self._remembered

    def record(self, remembered: Remembered) -> None:
        """Keeps it for the next pass. Raises `StateError`."""
        written = json.dumps(_as_json(remembered), sort_keys=True, separators=(",", ":"))
        try:
            private_folder(self._path.parent)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(written)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(self._path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unusable(self._path, error.strerror or "cannot be written") from error
        self._remembered = remembered

    def _read(self) -> Remembered:
        try:
            with open(self._path, encoding="utf-8") as file:
                text = file.read(_LARGEST + 1)
            return _from_json(json.loads(text))
        except FileNotFoundError:
            return Remembered()
        except OSError as error:
            raise _unusable(self._path, error.strerror or "cannot be read") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise _unusable(self._path, "is damaged, or of another version of fleet") from error


def file_name(name: str) -> str:
    """A fleet's name as a file's: characters that could leave the folder are written as their code."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"%{ord(c):06x}" for c in name) or "%"


def private_folder(folder: Path) -> None:
    """Makes the folder for its owner alone, where it is not there yet. Raises `StateError` for one that others own or
    may write to: who can write there decides what guards compare with.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = folder.stat()
    if told.st_uid != os.geteuid():
        raise _unusable(folder, "belongs to another user")
    if told.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unusable(folder, "is writable by others")


def _unusable(path: Path, why: str) -> StateError:
    return StateError(
        f"what fleet remembers cannot be used: {path}: {why}",
        code=Code.STATE_UNUSABLE,
        hint=f"mend its permissions, or move `{path}` away: fleet starts a new one and looks at the hosts",
    )


def _as_json(remembered: Remembered) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "items": dict(remembered.items),
        "hosts": {
            name: {
                "url": host.url,
                "models": sorted(host.models),
                "loaded": {str(model): dict(options) for model, options in host.loaded.items()},
            }
            for name, host in remembered.hosts.items()
        },
    }


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
