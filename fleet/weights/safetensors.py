"""Checks the header of a safetensors file: its JSON announces tensors, all of which lie within the file.

The JSON is taken entry by entry and never built as a whole: a small text can stand for very much.
"""

from __future__ import annotations

import json
import re
from struct import Struct
from typing import Any, BinaryIO, NoReturn

from fleet.weights.faults import InvalidWeights, quoted

MOST_BYTES = 32 << 20
"""Of the JSON. A tensor takes about 150 bytes of it."""
MOST_TENSORS = 1 << 17
MOST_DIMENSIONS = 16

_LENGTH = Struct("<Q")
_LONGEST_NAME = 1024
_LONGEST_ENTRY = 4096
_AGAIN = "copy or download it again"
_BITS = {
    "F64": 64,
    "F32": 32,
    "F16": 16,
    "BF16": 16,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F4": 4,
    "I64": 64,
    "I32": 32,
    "I16": 16,
    "I8": 8,
    "U64": 64,
    "U32": 32,
    "U16": 16,
    "U8": 8,
    "BOOL": 8,
}

# Nothing is ever given back for another try (`*+`, `++`), so that time grows with the length alone.
_TEXT = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
_OPEN = re.compile(rb"\s*+\{\s*+")
_NAME = re.compile(rb"(" + _TEXT + rb")\s*+:\s*+", re.DOTALL)
_ENTRY = re.compile(rb'\{(?:[^"{}]++|' + _TEXT + rb")*+\}", re.DOTALL)
_NEXT = re.compile(rb"\s*+(?:(,)\s*+|(\}))")
_REST = re.compile(rb"\s*+\Z")


def plausible(head: bytes, size: int) -> bool:
    """Whether a file that begins so may be safetensors: a length that it has room for, and JSON."""
    return len(head) > _LENGTH.size and 2 <= _LENGTH.unpack_from(head)[0] <= size - 8 and head[8:9] == b"{"


def check_header(file: BinaryIO, size: int) -> int:
    """The number of tensors in a file of `size` bytes. Raises `InvalidWeights`, and `OSError` where reading fails."""
    file.seek(0)
    head = _read(file, _LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    if not 2 <= length <= size - _LENGTH.size:
        raise InvalidWeights(f"no safetensors: {_LENGTH.size} bytes for a header's length come first", hint=_AGAIN)
    if length > MOST_BYTES:
        raise InvalidWeights(f"its header is longer than {MOST_BYTES >> 20} MiB: that is no model")
    header = _read(file, length)
    if len(header) < length:
        raise InvalidWeights("cut short in its header", hint=_AGAIN)
    return _tensors(header, size - _LENGTH.size - length)


def _read(file: BinaryIO, count: int) -> bytes:
    content = file.read(count) or b""
    while len(content) < count and (more := file.read(count - len(content))):
        content += more
    return content


def _tensors(header: bytes, room: int) -> int:
    names: set[str] = set()
    opened = _OPEN.match(header)
    if opened is None:
        raise _no_json()
    at, seen_metadata = opened.end(), False
    ended = header[at : at + 1] == b"}"
    at += ended
    while not ended:
        key = _NAME.match(header, at)
        entry = _ENTRY.match(header, key.end()) if key else None
        following = _NEXT.match(header, entry.end()) if entry else None
        if key is None or entry is None or following is None:
            raise _no_json()
        if key.end(1) - key.start(1) > _LONGEST_NAME:
            raise InvalidWeights("damaged: the name of a tensor in its header is too long")
        name = _json(key[1])
        if name == "__metadata__" and not seen_metadata:
            seen_metadata = True
        elif name in names or name == "__metadata__":
            raise InvalidWeights(f"damaged: {quoted(name)} stands twice in its header")
        else:
            names.add(name)
            _check(name, entry, room)
        if len(names) > MOST_TENSORS:
            raise InvalidWeights(f"its header announces more than {MOST_TENSORS:,} tensors: that is no model")
        at, ended = following.end(), following[2] is not None
    if not _REST.match(header, at):
        raise _no_json()
    return len(names)


def _check(name: str, entry: re.Match[bytes], room: int) -> None:
    """That one tensor has what is needed, and lies among the `room` bytes behind the header."""
    if entry.end() - entry.start() > _LONGEST_ENTRY:
        raise InvalidWeights(f"damaged: the entry of tensor {quoted(name)} in its header is too long")
    told = _json(entry[0])
    offsets, shape, kind = told.get("data_offsets"), told.get("shape"), told.get("dtype")
    if not _sizes(offsets, 2) or len(offsets) != 2 or not _sizes(shape, MOST_DIMENSIONS) or not isinstance(kind, str):
        raise InvalidWeights(f"damaged: tensor {quoted(name)} is not described by `dtype`, `shape` and `data_offsets`")
    begin, end = offsets
    if begin > end:
        raise InvalidWeights(f"damaged: tensor {quoted(name)} ends before it begins")
    if end > room:
        raise InvalidWeights(
            f"cut short or damaged: tensor {quoted(name)} ends at byte {end:,} behind the header, the file at {room:,}",
            hint=_AGAIN,
        )
    bits = _BITS.get(kind)
    for length in shape:
        bits = None if bits is None else bits * length
    if bits is not None and bits != (end - begin) * 8:
        raise InvalidWeights(f"damaged: tensor {quoted(name)} has {end - begin:,} bytes, which its shape does not take")


def _sizes(value: Any, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(each) is int and 0 <= each < 1 << 63 for each in value)
    )


def _json(text: bytes) -> Any:
    try:
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError):
        raise _no_json() from None


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refused)


def _no_json() -> InvalidWeights:
    return InvalidWeights("damaged: its header is not the JSON that safetensors begin with", hint=_AGAIN)
