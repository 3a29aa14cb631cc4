"""Snapshots on disk: written at once, byte for byte alike for the same content; read within limits, whoever wrote them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fleet.codes import Code
from fleet.errors import FleetError, InputError
from fleet.foreign import clean
from fleet.reconcile.rehearsing.snapshot import FORMAT, TYPE, Snapshot
from fleet.whole import read_whole, replace_whole

MOST_BYTES = 256 << 20
"""A thousand hosts with forty models each take some 30 MiB."""
_HINT = "`fleet snapshot --out FILE` takes one"


def snapshot_text(snapshot: Snapshot) -> str:
    """The whole file: sorted keys, ASCII alone, what says nothing left out."""
    told: Any = _shape().dump_python(snapshot, mode="json", exclude_defaults=True)
    return json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_snapshot(path: Path, snapshot: Snapshot, *, private: bool = False) -> int:
    """Readers see all of it or what was there before; of a `private` one, its owner alone. Returns its bytes. Raises
    `FleetError` where it cannot be written.
    """
    written = snapshot_text(snapshot).encode()
    try:
        replace_whole(path.resolve(), written, mode=0o600 if private else 0o644)
    except OSError as error:
        raise FleetError(
            f"{_shown(path)}: the snapshot cannot be written: {error.strerror or error}",
            code=Code.OUTPUT_LOST,
            hint="name a file by `--out` in a folder that you may write to",
        ) from error
    return len(written)


def read_snapshot(path: Path) -> Snapshot:
    """Raises `InputError` for what is no snapshot, one of a newer fleet, and one that is damaged."""
    try:
        raw = read_whole(path, MOST_BYTES)
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror or error}", _HINT) from error
    _refuse_others(path, raw)
    try:
        read = _shape().validate_json(raw)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        message = first["msg"].removeprefix("Value error, ")
        raise _wrong(path, f"is damaged: `{clean(place, limit=200)}`: {clean(message, limit=200)}", _HINT) from fault
    for name, host in read.hosts.items():
        for model in host.models:
            if model.shown is not None and model.shown not in read.contents:
                listed = clean(model.listed, limit=200)
                raise _wrong(path, f"is damaged: what `{name}` shows of `{listed}` is not in it", _HINT)
    return read


def _refuse_others(path: Path, raw: bytes) -> None:
    """Says what a file is that is none of ours, before its shape is judged."""
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "is no snapshot: it is no JSON that can be read", _HINT) from error
    if not isinstance(read, dict) or read.get("type") != TYPE:
        raise _wrong(path, "is no snapshot of fleet", _HINT)
    found = read.get("format")
    if isinstance(found, bool) or not isinstance(found, int):
        raise _wrong(path, "is damaged: `format` is no number", _HINT)
    if found != FORMAT:
        raise _wrong(
            path,
            f"is of format {str(found)[:20]}; this fleet reads format {FORMAT}",
            "upgrade fleet here, or take the snapshot with this version" if found > FORMAT else _HINT,
        )


def _wrong(path: Path, why: str, hint: str) -> InputError:
    return InputError(f"{_shown(path)}: the snapshot {why}", code=Code.SNAPSHOT_WRONG, hint=hint)


def _shown(path: Path) -> str:
    return clean(str(path), limit=1000)


@lru_cache(maxsize=1)
def _shape() -> TypeAdapter[Snapshot]:
    return TypeAdapter(Snapshot)
