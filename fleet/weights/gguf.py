"""Reads the header of a GGUF: versions 1 to 3, either byte order, and checks that its tensors lie within the file.

Whatever the file says, reading takes bounded memory and time. What a server would refuse is refused here, before
gigabytes were sent; how it reads version 1 (lengths of 64 bits, texts that end in NUL) is taken over from servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from fleet.weights.faults import InvalidWeights, quoted
from fleet.weights.front import Front
from fleet.weights.ggml import BLOCKS, FILE_TYPES
from fleet.weights.local import Part

MAGICS = {b"GGUF": "<", b"FUGG": ">"}
"""The first four bytes, and the byte order that they stand for."""

MOST_TENSORS = 1 << 17
MOST_KEYS = 1 << 14
LONGEST_NAME = 255
"""Bytes of a key, or of a tensor's name."""
LONGEST_TEXT = 16 << 20
MOST_DIMENSIONS = 4
DEEPEST = 4
"""Lists in lists of metadata."""
MOST_LISTS = 1 << 16
"""Lists within lists, in one file."""

_STRING, _ARRAY = 8, 9
_LETTERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_BY_NAME = {"general.architecture", "general.type", "general.file_type", "general.alignment", "split.no", "split.count"}
_KEPT = (b"v.", b"mm.", b"a.", b"s.", b"mtp.")
_BY_END = (".block_count", ".has_vision_encoder", ".has_audio_encoder")
_LONGEST_KEPT = 256

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF tells of itself, as far as it matters here."""

    version: int
    part: Part
    file_type: str | None
    """The level of quantization; nothing where none is told, or one without a name."""
    split: tuple[int, int] | None
    """Number from 1 and count, of one piece of several."""
    tensors: int
    tensors_kept: bool
    """Tensors for vision, audio or prediction of several tokens lie in it (`ollama-api.md` 7.5)."""


def read_header(file: BinaryIO, size: int) -> Header:
    """The header of a file of `size` bytes. Raises `InvalidWeights`, and `OSError` where reading fails."""
    front = Front(file, size)
    order = MAGICS.get(front.bytes(4))
    if order is None:
        raise InvalidWeights("not a GGUF: its first bytes are others")
    version = front.number(Struct(order + "I"))
    if version not in {1, 2, 3}:
        swapped = order == "<" and version & 0xFFFF == 0 and version >> 24 in {2, 3}
        raise InvalidWeights(
            "written for big-endian machines in a way that no server reads"
            if swapped
            else f"GGUF of version {version}",
            hint="convert it to little-endian" if swapped else "versions 1 to 3 can be read: is it damaged?",
        )
    return _Reader(front, order, version).header(size)


class _Reader:
    """Goes through one header, from behind the version on."""

    def __init__(self, front: Front, order: str, version: int) -> None:
        self._front = front
        self._version = version
        self._order = order
        self._count = Struct(order + ("I" if version == 1 else "Q"))
        self._number = Struct(order + "I")
        self._length = Struct(order + "Q")
        self._singles = {kind: Struct(order + letter) for kind, letter in _LETTERS.items()}
        self._tensor = [Struct(f"{order}{dimensions}QIQ") for dimensions in range(MOST_DIMENSIONS + 1)]
        self._lists = 0

    def header(self, size: int) -> Header:
        tensors = self._believable("tensors", self._front.number(self._count), MOST_TENSORS, 24)
        values = self._believable("values", self._front.number(self._count), MOST_KEYS, 13)
        metadata = self._metadata(values)
        reach, last, kept = self._tensors(tensors)
        start = self._front.at
        start += -start % _alignment(metadata)
        if tensors and start + reach > size:
            raise InvalidWeights(
                f"cut short or damaged: tensor {quoted(last)} ends at byte {start + reach:,}, the file at {size:,}",
                hint="copy or download it again",
            )
        file_type = metadata.get("general.file_type")
        return Header(
            version=self._version,
            part=_part(metadata),
            file_type=FILE_TYPES.get(file_type) if isinstance(file_type, int) else None,
            split=_split(metadata),
            tensors=tensors,
            tensors_kept=kept,
        )

    def _believable(self, what: str, count: int, most: int, least_bytes: int) -> int:
        self._front.ensure(count * least_bytes, f"its header announces {count:,} {what}")
        if count > most:
            raise InvalidWeights(f"its header announces {count:,} {what}: more than {most:,} are no model")
        return count

    def _metadata(self, count: int) -> dict[str, Value]:
        wanted: dict[str, Value] = {}
        seen = set()
        for _ in range(count):
            name = self._name("key")
            if name in seen:
                raise InvalidWeights(f"damaged: {quoted(name)} stands twice in its metadata")
            seen.add(name)
            key = name.decode("utf-8", "replace")
            kind = self._front.number(self._number)
            if kind == _ARRAY:
                self._skip_list(key, 1)
            elif kind == _STRING:
                text = self._text(key)
                if text is not None and key in _BY_NAME:
                    wanted[key] = text
            elif kind in self._singles:
                value = self._front.number(self._singles[kind])
                if key in _BY_NAME or key.endswith(_BY_END):
                    wanted[key] = value
            else:
                raise InvalidWeights(f"damaged: {quoted(key)} in its metadata is of type {kind}, which does not exist")
        return wanted

    def _name(self, what: str) -> bytes:
        length = self._front.number(self._length)
        if length > LONGEST_NAME + (self._version == 1):
            raise InvalidWeights(f"damaged: a {what} in its header is {length:,} bytes long")
        return self._ended(self._front.bytes(length))

    def _ended(self, text: bytes) -> bytes:
        if self._version > 1:
            return text
        if not text.endswith(b"\0"):
            raise InvalidWeights(
                "GGUF of version 1, with texts that servers cannot read", hint="convert the model anew, to version 3"
            )
        return text[:-1]

    def _text(self, key: str) -> str | None:
        """A text of the metadata, where it is short; none that matters here is long."""
        length = self._front.number(self._length)
        self._bounded(key, length)
        if length > _LONGEST_KEPT:
            self._front.skip(length)
            return None
        return self._ended(self._front.bytes(length)).decode("utf-8", "replace")

    def _bounded(self, key: str, length: int) -> None:
        told = f"the text of {quoted(key)} in its metadata has {length:,} bytes"
        self._front.ensure(length, told)
        if length > LONGEST_TEXT:
            raise InvalidWeights(f"{told}: no server reads more than {LONGEST_TEXT >> 20} MiB")

    def _skip_list(self, key: str, depth: int) -> None:
        kind, count = self._front.number(self._number), self._front.number(self._count)
        if kind == _STRING:
            self._room(key, count, self._length.size)
            self._front.skip_strings(count, self._length)
        elif kind in self._singles:
            each = self._singles[kind].size
            self._room(key, count, each)
            self._front.skip(count * each)
        elif kind == _ARRAY and depth < DEEPEST:
            self._room(key, count, self._number.size + self._count.size)
            self._lists += count
            if self._lists > MOST_LISTS:
                raise InvalidWeights(f"{quoted(key)} in its metadata holds more than {MOST_LISTS:,} lists")
            for _ in range(count):
                self._skip_list(key, depth + 1)
        elif kind == _ARRAY:
            raise InvalidWeights(f"{quoted(key)} in its metadata holds lists in lists, more than {DEEPEST} deep")
        else:
            raise InvalidWeights(f"damaged: {quoted(key)} in its metadata lists a type {kind}, which does not exist")

    def _room(self, key: str, count: int, each: int) -> None:
        self._front.ensure(count * each, f"{quoted(key)} in its metadata lists {count:,} values")

    def _tensors(self, count: int) -> tuple[int, bytes, bool]:
        """How far they reach from where the first begins, the name of the one that ends last, and whether any is kept."""
        reach, last, kept = 0, b"", False
        seen = set()
        for _ in range(count):
            name = self._name("tensor's name")
            if name in seen:
                raise InvalidWeights(f"damaged: there are two tensors {quoted(name)}")
            seen.add(name)
            dimensions = self._front.number(self._number)
            if dimensions > MOST_DIMENSIONS:
                raise InvalidWeights(
                    f"damaged: tensor {quoted(name)} has {dimensions:,} dimensions, at most {MOST_DIMENSIONS} exist"
                )
            *shape, kind, offset = self._front.numbers(self._tensor[dimensions])
            end = offset + _bytes(name, shape, kind)
            if end >= reach:
                reach, last = end, name
            kept = kept or name.startswith(_KEPT)
        return reach, last, kept


def _bytes(name: bytes, shape: list[int], kind: int) -> int:
    """Of a tensor; 0 where its type is not known, so that at least it has to begin within the file."""
    known = BLOCKS.get(kind)
    if known is None:
        return 0
    type_name, numbers, size = known
    if shape and shape[0] % numbers:
        raise InvalidWeights(
            f"damaged: tensor {quoted(name)} has rows of {shape[0]:,} numbers, which {type_name} cannot store"
        )
    count = 1
    for length in shape:
        count *= length
    return count * size // numbers


def _alignment(metadata: Mapping[str, Value]) -> int:
    step = metadata.get("general.alignment", 32)
    if not isinstance(step, int) or step <= 0 or step & (step - 1):
        raise InvalidWeights(f"damaged: its tensors are aligned to {quoted(str(step))}, which is no power of two")
    return step


def _part(metadata: Mapping[str, Value]) -> Part:
    """As servers from 0.30 on decide it."""
    kind, architecture = metadata.get("general.type"), metadata.get("general.architecture")
    if kind == "adapter":
        return Part.ADAPTER
    blocks = metadata.get(f"{architecture}.block_count")
    sees = metadata.get(f"{architecture}.vision.block_count")
    encodes = architecture == "clip" and any(metadata.get(f"clip.has_{sense}_encoder") for sense in ("vision", "audio"))
    stands_alone = not blocks and (sees or encodes)
    return Part.PROJECTOR if stands_alone or kind in {"projector", "mmproj"} else Part.MODEL


def _split(metadata: Mapping[str, Value]) -> tuple[int, int] | None:
    count, number = metadata.get("split.count"), metadata.get("split.no")
    if not isinstance(count, int) or count <= 1:
        return None
    if not isinstance(number, int) or not 0 <= number < count:
        raise InvalidWeights(f"damaged: one piece of {count:,} without its number")
    return number + 1, count
