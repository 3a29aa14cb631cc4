"""A file as fleet knows it once its manifests are read."""

from __future__ import annotations

from pathlib import Path

from fleet.weights.local import Format, LocalFile, Stamp


def local_file(name: str) -> LocalFile:
    path = Path(name)
    return LocalFile(path.name, str(path), path.name, Stamp.of(path.stat()), Format.GGUF)
