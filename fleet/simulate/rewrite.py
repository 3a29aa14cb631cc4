"""GGUF files that a server writes itself: copies of imported ones (≥0.30), and quantized ones.

A copy is exact, byte for byte what llama-quantize makes of the file; split ones are joined. Quantized numbers are not
computed: the header and all sizes are right, the blocks are filler that follows from the source, so equal requests give
equal digests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fleet.simulate import gguf
from fleet.simulate.blobs import CHUNK, Content, Hollow, Intake
from fleet.simulate.gguf import Header, Tensor, Value
from fleet.simulate.versions import Behaviour, Capability

_BLOCK = re.compile(r"blk\.(\d+)\.")
_EMBEDDED = ("a.", "mm.", "mtp.", "s.", "v.")
_REAL_UP_TO = 256 << 20
"""Larger files are not written: a hollow content of the right size stands for them, under a digest made up from the source's."""

_TENSOR_TYPES = {
    0: 0,
    1: 1,
    2: 2,
    3: 3,
    7: 8,
    8: 6,
    9: 7,
    10: 10,
    11: 11,
    12: 11,
    13: 11,
    14: 12,
    15: 12,
    16: 13,
    17: 13,
    18: 14,
    21: 10,
    32: 30,
}
"""File type → the type of most of its tensors."""
_FALLBACK = {12: 6, 13: 7, 14: 8, 10: 2, 11: 2}
"""What stands in where rows are no multiple of 256 long."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be written anew: its header, contents and digest. Split ones are several."""

    header: Header
    content: Content
    digest: str


class _Drawn(NamedTuple):
    """A tensor and the file it is drawn from."""

    tensor: Tensor
    source: Source


Written = tuple[Content, str]
"""Content and digest of what was written."""


def copied(sources: Sequence[Source]) -> Written:
    """The file as llama-quantize copies it: the contents, tensors by layer and name."""
    header = sources[0].header
    drawn = sorted(_all(sources), key=lambda one: _by_layer(one.tensor))
    return _written(sources, drawn, [one.tensor for one in drawn], _of_library(header, _number(header)), "copy")


def restored(sources: Sequence[Source], **changed: Value) -> Written:
    """The file as the server itself writes one: split ones joined, metadata in order, with what is `changed`.

    Keys are written with `__` for the dot.
    """
    metadata = _joined(sources[0].header)
    metadata |= {key.replace("__", "."): value for key, value in changed.items()}
    drawn = sorted(_all(sources), key=_as_server)
    return _written(sources, drawn, [one.tensor for one in drawn], _own(metadata, sources), "own")


def quantized(sources: Sequence[Source], file_type: int, behaviour: Behaviour) -> Written:
    """The file at another level of quantization. Tensors of vision, audio and drafts stay as they are."""
    header = sources[0].header
    if behaviour.has(Capability.QUANTIZER_LIBRARY) or behaviour.has(Capability.IMPORT_REWRITTEN):
        metadata = _of_library(header, file_type)
        drawn = sorted(_all(sources), key=lambda one: _by_layer(one.tensor))
    else:
        metadata = _own({**header.metadata, "general.file_type": gguf.uint(file_type)}, sources)
        drawn = sorted(_all(sources), key=_as_server)
    kept = behaviour.has(Capability.IMPORT_REWRITTEN)
    targets = [
        one.tensor if kept and is_embedded(one.tensor) else replace(one.tensor, kind=_target(one.tensor, file_type))
        for one in drawn
    ]
    return _written(sources, drawn, targets, metadata, _quantizer(behaviour))


def is_embedded(tensor: Tensor) -> bool:
    """Whether it belongs to vision, audio or a draft, and not to the text model."""
    return tensor.name.startswith(_EMBEDDED)


def _all(sources: Sequence[Source]) -> list[_Drawn]:
    return [_Drawn(tensor, source) for source in sources for tensor in source.header.tensors]


def _own(metadata: Mapping[str, Value], sources: Sequence[Source]) -> dict[str, Value]:
    """Metadata as the server writes them: sorted, with the number of parameters."""
    count = sum(source.header.parameters for source in sources)
    counted = {**metadata, "general.parameter_count": Value(gguf.Kind.UINT64, count)}
    return {key: counted[key] for key in sorted(counted)}


def _joined(header: Header) -> dict[str, Value]:
    """Metadata without what says that the file is one of several."""
    family = header.architecture
    split = {f"{prefix}split.{key}" for prefix in ("", f"{family}.") for key in ("no", "count", "tensors.count")}
    return {key: value for key, value in header.metadata.items() if key not in split}


def _quantizer(behaviour: Behaviour) -> str:
    """Which program quantizes: its results differ from the others'."""
    if behaviour.has(Capability.QUANTIZER_LIBRARY):
        return "library"
    if behaviour.has(Capability.IMPORT_REWRITTEN):
        return "llama-quantize"
    return "early" if behaviour.has(Capability.QUANTIZER_EARLY) else "own"


def _number(header: Header) -> int:
    return header.file_type or 0


def _of_library(header: Header, file_type: int) -> dict[str, Value]:
    metadata = {key: value for key, value in _joined(header).items() if key != "general.file_type"}
    metadata.pop("general.quantization_version", None)
    return {**metadata, "general.quantization_version": gguf.uint(2), "general.file_type": gguf.uint(file_type)}


def _by_layer(tensor: Tensor) -> tuple[int, str]:
    match = _BLOCK.match(tensor.name)
    return (int(match[1]) if match else -1, tensor.name)


def _as_server(one: _Drawn) -> tuple[bool, int, str]:
    """The server's own order: what belongs to no layer comes last."""
    layer, name = _by_layer(one.tensor)
    return (layer < 0, layer, name)


def _target(tensor: Tensor, file_type: int) -> int:
    """The type a tensor gets. Norms and other vectors stay as they are."""
    if len(tensor.shape) < 2 or not tensor.name.endswith("weight"):
        return tensor.kind
    kind = _TENSOR_TYPES.get(file_type, tensor.kind)
    if tensor.name == "output.weight" and kind in {11, 12, 13}:
        kind = 14
    if tensor.shape[0] % 256 and kind in _FALLBACK:
        kind = _FALLBACK[kind]
    return 1 if tensor.shape[0] % 32 and kind > 1 else kind


def _written(
    sources: Sequence[Source],
    drawn: Sequence[_Drawn],
    targets: Sequence[Tensor],
    metadata: Mapping[str, Value],
    maker: str,
) -> Written:
    placed = gguf.laid_out(targets)
    head = gguf.write(metadata, placed)
    last = placed[-1] if placed else None
    length = len(head) + (last.offset + last.size + -last.size % 32 if last else 0)
    if any(isinstance(source.content, Hollow) for source in sources) or _size(sources) > _REAL_UP_TO:
        # A content that is not there cannot be rewritten; its size can.
        whole = all(source.header.end <= source.content.size for source in sources)
        identity = " ".join(map(_identity, sources))
        made_up = hashlib.sha256(b"\0".join((identity.encode(), maker.encode(), head))).hexdigest()
        return Hollow(head, length if whole else _size(sources) + len(head), identity), f"sha256:{made_up}"
    intake = Intake()
    intake.add(head)
    for one, target in zip(drawn, placed, strict=True):
        intake.add(bytes(len(head) + target.offset - intake.size))
        for piece in _same(one) if one.tensor.kind == target.kind else _filler(one, target, maker):
            intake.add(piece)
    intake.add(bytes(max(0, length - intake.size)))
    return intake.content(), intake.digest


def _size(sources: Sequence[Source]) -> int:
    return sum(source.content.size for source in sources)


def _identity(source: Source) -> str:
    return (source.content.identity if isinstance(source.content, Hollow) else "") or source.digest


def _same(one: _Drawn) -> Iterator[bytes]:
    start = one.source.header.start + one.tensor.offset
    for place in range(start, start + one.tensor.size, CHUNK):
        wanted = min(CHUNK, start + one.tensor.size - place)
        yield one.source.content.read(place, place + wanted).ljust(wanted, b"\0")


def _filler(one: _Drawn, target: Tensor, maker: str) -> Iterator[bytes]:
    """Follows from the tensor's numbers alone, as real blocks would: the same in whatever file they lie."""
    numbers = hashlib.sha256(f"{maker} {target.kind} ".encode())
    for piece in _same(one):
        numbers.update(piece)
    block = numbers.digest() * (CHUNK // 32)
    for place in range(0, target.size, CHUNK):
        yield block[: min(CHUNK, target.size - place)]
