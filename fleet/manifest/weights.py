"""Finds the files of weights that entries and their Modelfiles name, and looks into each once.

Only the beginnings are read. What cannot be read is kept as a value, as with texts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fleet.manifest.faults import Misread, quoted
from fleet.manifest.files import lies_below, opened_below, reasons, resolved
from fleet.manifest.inventory import Host
from fleet.manifest.modelfile import Modelfile, beside
from fleet.manifest.texts import named
from fleet.manifest.written import At, Entry, FileWeights, Lying, Modelfiles, Weights
from fleet.weights.faults import InvalidWeights
from fleet.weights.local import LocalFile

MOST_FILES = 10_000
"""In all folders together."""
_DEEPEST = 8
_BESIDE = frozenset({"tokenizer.model", "chat_template.jinja"})
"""What is taken besides safetensors and JSON (`ollama-api.md` 7.5)."""
_NOT_TAKEN = {
    ".gguf": "there are GGUFs: name them one by one",
    ".bin": "servers take safetensors and GGUF: convert what is here to one of them",
    ".pth": "servers take safetensors and GGUF: convert what is here to one of them",
}


def find_weights(
    entries: Iterable[Entry],
    hosts: Iterable[Host],
    modelfiles: Modelfiles,
    roots: Sequence[Path],
    *,
    most: int = MOST_FILES,
) -> Weights:
    """What lies at every path that an entry could want, from below its manifest's folder or one of `roots`.

    At most `most` files are looked into. Of a Modelfile, every name that could be a path is looked for: which one is
    a path depends on what is there.
    """
    looking = _Looking(roots, most)
    wanted = dict.fromkeys(named(FileWeights, entries, hosts))
    for (folder, path), modelfile in modelfiles.items():
        if isinstance(modelfile, Modelfile):
            wanted |= dict.fromkeys((folder, beside(path, given.value)) for given in modelfile.named)
    return {at: looking.at(at) for at in wanted}


class _Looking:
    def __init__(self, roots: Sequence[Path], most: int) -> None:
        self._roots = roots
        self._most = most
        self._seen: dict[tuple[Path, str], LocalFile | Misread] = {}

    def at(self, at: At) -> Lying | Misread | None:
        try:
            return self._look(at)
        except Misread as error:
            return error

    def _look(self, at: At) -> Lying | None:
        path = Path(*at)
        root = lies_below(path, (Path(at[0]), *self._roots))
        real = resolved(path)
        with reasons():
            try:
                mode = os.lstat(real).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return None
        if stat.S_ISDIR(mode):
            return Lying(self._folder(root, real, at[1].rstrip("/")), folder=True)
        return Lying((self._file(root, path, path.name, at[1]),))

    def _folder(self, root: Path, folder: Path, shown: str) -> tuple[LocalFile, ...]:
        """The files of a model in safetensors: those at the top, and JSON in folders below as well."""
        keys = [key for key in sorted(_keys(folder)) if _taken(key)]
        if not any(key.endswith(".safetensors") for key in keys):
            hint = next((hint for ending, hint in _NOT_TAKEN.items() if any(folder.glob(f"*{ending}"))), None)
            raise Misread("there are no `*.safetensors` in this folder", hint=hint)
        found: list[LocalFile] = []
        for key in keys:
            try:
                found.append(self._file(root, folder / key, key, f"{shown}/{key}"))
            except Misread as error:
                raise Misread(f"{quoted(key)} in it: {error}", hint=error.hint) from None
        return tuple(found)

    def _file(self, root: Path, path: Path, key: str, shown: str) -> LocalFile:
        """The file, looked into if nobody did before. Raises `Misread`."""
        if "\\" in key:
            raise Misread("servers take no name with a backslash")
        real = resolved(path)
        # By the key as well: servers go by the ending of a name, so it decides what a file has to be.
        known = self._seen.get((real, key))
        if known is None:
            if len(self._seen) >= self._most:
                raise Misread(f"more than {self._most:,} files of weights in all")
            known = self._seen[real, key] = _looked_into(root, real, key, shown)
        if isinstance(known, Misread):
            raise known
        return replace(known, shown=shown)


def _looked_into(root: Path, path: Path, key: str, shown: str) -> LocalFile | Misread:
    from fleet.weights.inspect import look_into  # noqa: PLC0415 - most manifests name no weights

    try:
        with opened_below(root, path) as file:
            return look_into(file, key=key, path=str(path), shown=shown)
    except InvalidWeights as error:
        return Misread(str(error), hint=error.hint)
    except Misread as error:
        return error


def _keys(folder: Path, before: str = "", depth: int = 0) -> Iterator[str]:
    """The files in a folder and below it, by their paths from it; hidden ones and links to folders are left out."""
    if depth > _DEEPEST:
        return
    with reasons():
        kinds = {entry.name: (entry.is_dir(), entry.is_symlink()) for entry in os.scandir(folder)}
    for name, (is_folder, is_link) in kinds.items():
        if name.startswith("."):
            continue
        if not is_folder:
            yield f"{before}{name}"
        elif not is_link:
            yield from _keys(folder / name, f"{before}{name}/", depth + 1)


def _taken(key: str) -> bool:
    return key.endswith(".json") or ("/" not in key and (key.endswith(".safetensors") or key in _BESIDE))
