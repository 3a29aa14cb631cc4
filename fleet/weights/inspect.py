"""Looks into a file that a model is to be made from: what it is, told by its content, and whether it is whole."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from fleet.names import Digest
from fleet.weights import gguf, safetensors
from fleet.weights.faults import InvalidWeights, quoted
from fleet.weights.foreign import refuse_foreign
from fleet.weights.gguf import Header
from fleet.weights.local import Format, LocalFile, Stamp

_HEAD = 1024
_TEXTS = (".json", ".jinja")
_TOKENIZER = "tokenizer.model"
_PIECE = re.compile(r"(?:.*/)?[^/]*-([0-9]{5})-of-([0-9]{5})\.gguf\Z", re.DOTALL)


def look_into(file: BinaryIO, *, key: str, path: str, shown: str, sha256: Digest | None = None) -> LocalFile:
    """What an open regular file is, as far as its first bytes tell; the rest is as given.

    `key` is its name towards servers, which decide by its ending what they do with it. The position in `file` changes.
    Raises `InvalidWeights`, whose message does not name the file, also where reading fails.
    """
    if not key.isprintable():
        raise InvalidWeights("its name has characters that servers may not take", hint="give it another name")
    try:
        stamp = Stamp.of(os.fstat(file.fileno()))
        format_, header = _told(file, stamp.size, key)
    except OSError as error:
        raise InvalidWeights(f"cannot be read: {error.strerror}") from None
    return LocalFile(
        key=key,
        path=path,
        shown=shown,
        stamp=stamp,
        format=format_,
        part=header.part if header else None,
        split=header.split if header else None,
        tensors_kept=header.tensors_kept if header else False,
        file_type=header.file_type if header else None,
        sha256=sha256,
    )


def _told(file: BinaryIO, size: int, key: str) -> tuple[Format, Header | None]:
    if not size:
        raise InvalidWeights("empty")
    file.seek(0)
    head = file.read(_HEAD) or b""
    name = key.rpartition("/")[2].lower()
    if head[:4] in gguf.MAGICS:
        if name.endswith((".safetensors", *_TEXTS)):
            raise InvalidWeights("a GGUF under another name, by which servers go", hint="let its name end in `.gguf`")
        header = gguf.read_header(file, size)
        _check_name(key, header)
        return Format.GGUF, header
    if name.endswith(_TEXTS) or name == _TOKENIZER:
        refuse_foreign(head)
        if name.endswith(".json") and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in {b"{", b"["}:
            raise InvalidWeights("not the JSON that its name announces")
        return Format.TEXT, None
    # First, because a length may look like the magic number of something else.
    if safetensors.plausible(head, size):
        if not name.endswith(".safetensors"):
            raise InvalidWeights(
                "safetensors under another name, by which servers go", hint="let its name end in `.safetensors`"
            )
        safetensors.check_header(file, size)
        return Format.SAFETENSORS, None
    refuse_foreign(head)
    if name.endswith(".gguf"):
        raise InvalidWeights("not a GGUF, though its name says so", hint="copy or download it again")
    if name.endswith(".safetensors"):
        raise InvalidWeights("not safetensors, though its name says so", hint="copy or download it again")
    raise InvalidWeights("neither GGUF nor safetensors")


def _check_name(key: str, header: Header) -> None:
    """Servers put pieces together by their names, which have to say what the headers say (`ollama-api.md` 7.5)."""
    if header.split is None:
        return
    number, count = header.split
    named = _PIECE.match(key)
    if named is None or (int(named[1]), int(named[2])) != (number, count):
        raise InvalidWeights(
            f"piece {number} of {count} of a split GGUF, but not named so: {quoted(key)}",
            hint=f"name it as it was made: `NAME-{number:05}-of-{count:05}.gguf`",
        )
