"""Writes files for a person to keep: none of them where one is there already, unless that is allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from fleet.codes import Code
from fleet.errors import FleetError, GuardError
from fleet.manifest.files import shown_path


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raises `GuardError` naming what is there, so that nothing is begun in vain."""
    there = [path for path in paths if path.is_symlink() or path.exists()]
    if there:
        names = ", ".join(f"`{shown_path(str(path))}`" for path in there[:5])
        more = f" and {len(there) - 5} more" if len(there) > 5 else ""
        raise GuardError(
            f"{names}{more} {'is' if len(there) == 1 else 'are'} there already",
            code=Code.FILE_KEPT,
            hint=Code.FILE_KEPT.cure,
        )


def write_files(folder: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Writes each file below the folder, by its relative path. Raises `GuardError` before the first where one is there
    and not to be replaced, `FleetError` for what cannot be written.
    """
    if not force:
        refuse_existing(folder / name for name in files)
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content, force=force)
        except OSError as error:
            raise FleetError(
                f"cannot be written: {shown_path(str(path))}: {error.strerror or error}",
                code=Code.FILE_KEPT,
                hint="name a folder that you may write to by `--out`",
            ) from error


def _write(path: Path, content: bytes, *, force: bool) -> None:
    if not force:
        with open(path, "xb") as file:
            file.write(content)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
