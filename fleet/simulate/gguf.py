"""GGUF files: a reader of their headers, and a writer of headers for models that exist only in the simulator.

Values keep their type, so that a header that is read and written again is the same.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

_MAGIC_LITTLE = b"GGUF"
_MAGIC_BIG = b"FUGG"
_MAX_DIMENSIONS = 4
_LIMIT = 1 << 26
"""No string or list of a header is longer than this: a length beyond it is garbage, not a file to be read."""


class GgufError(ValueError):
    """Not a GGUF file, or one that cannot be read. The text is the server's."""


class Kind(IntEnum):
    """Types of metadata values."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


_FORMATS = {
    Kind.UINT8: "B",
    Kind.INT8: "b",
    Kind.UINT16: "H",
    Kind.INT16: "h",
    Kind.UINT32: "I",
    Kind.INT32: "i",
    Kind.FLOAT32: "f",
    Kind.BOOL: "?",
    Kind.UINT64: "Q",
    Kind.INT64: "q",
    Kind.FLOAT64: "d",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A metadata value. Of an array, `of` is the type of its items."""

    kind: Kind
    value: Any
    of: Kind = Kind.UINT8


def text(value: str) -> Value:
    return Value(Kind.STRING, value)


def uint(value: int) -> Value:
    return Value(Kind.UINT32, value)


_TENSOR_NAMES = [
    "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32",
    "I64", "F64", "IQ1_M", "BF16",
]  # fmt: skip
_BLOCK_BYTES = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
}
"""Of each tensor type: how many numbers a block holds, and its bytes."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's entry in the header; `offset` counts from the start of the tensors."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int = 0

    @property
    def parameters(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def size(self) -> int:
        numbers, size = _BLOCK_BYTES.get(self.kind, (1, 0))
        return self.parameters * size // numbers

    @property
    def type_name(self) -> str:
        return _TENSOR_NAMES[self.kind] if self.kind < len(_TENSOR_NAMES) else "unknown"


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself before its tensors begin at `start`."""

    metadata: Mapping[str, Value]
    tensors: Sequence[Tensor]
    start: int = 0
    version: int = 3
    _plain: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def get(self, key: str) -> Any:
        """A value by its full key, or by the rest of it below the architecture's name."""
        found = self.metadata.get(key) or self.metadata.get(f"{self.architecture}.{key}")
        return found.value if found else None

    @property
    def architecture(self) -> str:
        found = self.metadata.get("general.architecture")
        return found.value if found and found.kind is Kind.STRING else "unknown"

    @property
    def parameters(self) -> int:
        return sum(tensor.parameters for tensor in self.tensors)

    @property
    def file_type(self) -> int | None:
        """The file's level of quantization by number; none where it says nothing or F32, which servers take for nothing."""
        found = self.metadata.get("general.file_type")
        return found.value if found and isinstance(found.value, int) and found.value > 0 else None

    @property
    def context_length(self) -> int:
        found = self.get("context_length")
        return found if isinstance(found, int) else 0

    @property
    def end(self) -> int:
        """Where the file ends, if nothing is cut off."""
        return self.start + max((tensor.offset + tensor.size for tensor in self.tensors), default=0)

    def changed(self, metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> Header:
        return replace(self, metadata=metadata, tensors=tensors)


class _Reader:
    """Takes values from the start of a file."""

    def __init__(self, content: bytes, *, little: bool) -> None:
        self._content = content
        self._order = "<" if little else ">"
        self.at = len(_MAGIC_LITTLE)

    def take(self, letter: str) -> Any:
        size = struct.calcsize(letter)
        piece = self._piece(size)
        return struct.unpack(self._order + letter, piece)[0]

    def string(self, *, version: int) -> str:
        length = self.take("Q")
        if length > _LIMIT:
            raise GgufError("unexpected EOF")
        piece = self._piece(length)
        return (piece[:-1] if version == 1 else piece).decode("utf-8", "replace")

    def _piece(self, size: int) -> bytes:
        piece = self._content[self.at : self.at + size]
        if len(piece) < size:
            raise GgufError("unexpected EOF" if piece else "EOF")
        self.at += size
        return piece

    def value(self, version: int) -> Value:
        number = self.take("I")
        if number not in Kind._value2member_map_:
            raise GgufError(f"invalid type: {number}")
        kind = Kind(number)
        if kind is not Kind.ARRAY:
            return Value(kind, self._single(kind, version))
        number = self.take("I")
        if number not in Kind._value2member_map_ or number == Kind.ARRAY:
            raise GgufError(f"invalid array type: {number}")
        of = Kind(number)
        count = self.take("I" if version == 1 else "Q")
        if count > _LIMIT:
            raise GgufError("unexpected EOF")
        if of is Kind.STRING:
            return Value(kind, [self.string(version=version) for _ in range(count)], of)
        size = struct.calcsize(_FORMATS[of]) * count
        return Value(kind, list(struct.unpack(f"{self._order}{count}{_FORMATS[of]}", self._piece(size))), of)

    def _single(self, kind: Kind, version: int) -> Any:
        return self.string(version=version) if kind is Kind.STRING else self.take(_FORMATS[kind])


def is_gguf(content: bytes) -> bool:
    return content[:4] in {_MAGIC_LITTLE, _MAGIC_BIG}


def read(content: bytes, *, size: int | None = None) -> Header:
    """Reads the header. `size`, where given, is the whole file's: tensors must lie within. Raises `GgufError`."""
    if not is_gguf(content):
        raise GgufError("invalid file magic" if len(content) >= 4 else "unexpected EOF")
    reader = _Reader(content, little=content[:4] == _MAGIC_LITTLE)
    version = reader.take("I")
    letter = "I" if version == 1 else "Q"
    tensor_count, value_count = reader.take(letter), reader.take(letter)
    metadata = {}
    for _ in range(value_count):
        key = reader.string(version=version)
        metadata[key] = reader.value(version)
    tensors = [_tensor(reader, version) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment")
    step = alignment.value if alignment and isinstance(alignment.value, int) and alignment.value > 0 else 32
    header = Header(metadata, tensors, _aligned(reader.at, step), version)
    for tensor in tensors:
        end = header.start + tensor.offset + tensor.size
        if size is not None and end > size:
            raise GgufError(f'tensor "{tensor.name}" offset+size ({end}) exceeds file size ({size})')
    return header


def _tensor(reader: _Reader, version: int) -> Tensor:
    def step(what: str, value: Any) -> Any:
        try:
            return value()
        except GgufError as fault:
            raise GgufError(f"failed to read tensor {what}: {fault}") from None

    name = step("name", lambda: reader.string(version=version))
    dimensions = step("dimensions", lambda: reader.take("I"))
    if dimensions > _MAX_DIMENSIONS:
        raise GgufError(f'tensor "{name}" dimensions {dimensions} exceeds maximum {_MAX_DIMENSIONS}')
    shape = tuple(step("shape", lambda: reader.take("Q")) for _ in range(dimensions))
    kind = step("kind", lambda: reader.take("I"))
    return Tensor(name, shape, kind, step("offset", lambda: reader.take("Q")))


def _aligned(offset: int, step: int) -> int:
    return offset + -offset % step


def laid_out(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors one after the other, each at a multiple of 32."""
    placed, offset = [], 0
    for tensor in tensors:
        placed.append(replace(tensor, offset=offset))
        offset = _aligned(offset + tensor.size, 32)
    return placed


def write(metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """The bytes of a file up to where its tensors begin, in the order given."""
    parts = [_MAGIC_LITTLE, struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_string(key), struct.pack("<I", value.kind), _encoded(value)]
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts += [_string(tensor.name), shape, struct.pack("<IQ", tensor.kind, tensor.offset)]
    head = b"".join(parts)
    return head.ljust(_aligned(len(head), 32), b"\0")


def _string(value: str) -> bytes:
    content = value.encode("utf-8", "replace")
    return struct.pack("<Q", len(content)) + content


def _encoded(value: Value) -> bytes:
    if value.kind is Kind.STRING:
        return _string(value.value)
    if value.kind is not Kind.ARRAY:
        return struct.pack("<" + _FORMATS[value.kind], value.value)
    head = struct.pack("<IQ", value.of, len(value.value))
    if value.of is Kind.STRING:
        return head + b"".join(map(_string, value.value))
    return head + struct.pack(f"<{len(value.value)}{_FORMATS[value.of]}", *value.value)
