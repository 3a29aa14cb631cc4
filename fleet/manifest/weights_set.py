"""Whether files make a model together, or an adapter: what a server would find only after they were uploaded.

Pure; the rules are `ollama-api.md` 7.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from fleet.manifest.faults import Misread, quoted
from fleet.weights.local import Format, LocalFile, Part

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"

_PIECE = re.compile(r"(?P<name>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.(?:gguf|safetensors)\Z")
_KINDS = {Part.MODEL: "a model", Part.PROJECTOR: "a projector", Part.ADAPTER: "an adapter"}


def check_files(files: Sequence[LocalFile]) -> None:
    """Raises `Misread` for files that make no model."""
    if _safetensors(files):
        keys = {file.key for file in files}
        if CONFIG not in keys:
            adapter = ADAPTER_CONFIG in keys
            hint = "an adapter belongs under `adapters`" if adapter else "it is what tells the kind of model"
            raise Misread(f"there is no `{CONFIG}` beside the safetensors", hint=hint)
        return
    for file in files:
        if file.part is Part.ADAPTER:
            raise Misread(f"{quoted(file.shown)} is an adapter, not a model", hint="it belongs under `adapters`")
    _one_model(files)


def check_adapters(files: Sequence[LocalFile]) -> None:
    """Raises `Misread` for files that are not one adapter."""
    if _safetensors(files):
        if ADAPTER_CONFIG not in {file.key for file in files}:
            raise Misread(
                f"there is no `{ADAPTER_CONFIG}` beside the safetensors", hint="a model belongs under `files`"
            )
        return
    for file in files:
        if file.part is not Part.ADAPTER:
            raise Misread(f"{quoted(file.shown)} is {_kind(file)}, not an adapter", hint="it belongs under `files`")
    if len(files) > 1:
        raise Misread(f"{len(files)} adapters, and servers take one", hint="merge them into one beforehand")


def check_drafts(files: Sequence[LocalFile]) -> None:
    """Raises `Misread` for files that make no drafting model."""
    if _safetensors(files):
        if CONFIG not in {file.key for file in files}:
            raise Misread(f"there is no `{CONFIG}` beside the safetensors")
        return
    for file in files:
        if file.part is not Part.MODEL:
            raise Misread(f"{quoted(file.shown)} is {_kind(file)}, not a model that could draft")
    _one_model(files)


WHOLE: Mapping[str, Callable[[Sequence[LocalFile]], None]] = {
    "files": check_files,
    "adapters": check_adapters,
    "drafts": check_drafts,
}
"""What the files of each key of `create` have to be together."""


def _safetensors(files: Sequence[LocalFile]) -> bool:
    """Whether these are safetensors and what belongs to them. Raises `Misread` for a mixture."""
    seen: dict[str, LocalFile] = {}
    for file in files:
        before = seen.setdefault(file.key.lower(), file)
        if before is not file:
            raise Misread(f"{quoted(before.shown)} and {quoted(file.shown)} would have one name on the server")
    by_format = {file.format: file for file in reversed(files)}
    gguf, safetensors = by_format.get(Format.GGUF), by_format.get(Format.SAFETENSORS)
    if gguf is not None:
        other = safetensors or by_format.get(Format.TEXT)
        if other is not None:
            raise Misread(f"{quoted(gguf.shown)} is a GGUF, {quoted(other.shown)} is not: they make no model together")
        return False
    if safetensors is None:
        raise Misread("there are no weights among these files")
    _complete(file for file in files if file.format is Format.SAFETENSORS and _PIECE.match(file.key))
    return True


def _one_model(files: Sequence[LocalFile]) -> None:
    """One model, in one piece or all its pieces; projectors beside it as many as there are."""
    whole = [file for file in files if file.part is Part.MODEL and file.split is None]
    pieces = [file for file in files if file.part is Part.MODEL and file.split is not None]
    if not whole and not pieces:
        raise Misread(f"{quoted(files[0].shown)} is a projector, and there is no model beside it")
    if len(whole) > 1 or (whole and pieces):
        first, second = (whole + pieces)[:2]
        raise Misread(
            f"{quoted(first.shown)} and {quoted(second.shown)} are two models", hint="a model has one of them"
        )
    _complete(pieces)


def _complete(pieces: Iterable[LocalFile]) -> None:
    """Raises `Misread` where a model in pieces lacks one, or where there are pieces of two."""
    first: re.Match[str] | None = None
    numbers: set[int] = set()
    for piece in pieces:
        match = _PIECE.match(piece.key)
        if match is None:
            continue
        first = first or match
        if (match["name"], match["count"]) != (first["name"], first["count"]):
            raise Misread(f"{quoted(first[0])} and {quoted(match[0])} are pieces of two models")
        numbers.add(int(match["number"]))
    if first is not None and (missing := sorted(set(range(1, int(first["count"]) + 1)) - numbers)):
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        lacking = f"{first['name']}-{missing[0]:05}-of-{first['count']}"
        raise Misread(f"a piece is missing: `{lacking}…`{more}", hint="name all pieces of the model")


def _kind(file: LocalFile) -> str:
    return _KINDS[file.part] if file.part is not None else "no GGUF"
