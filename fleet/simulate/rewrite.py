"""GGUF files that a server writes itself: copies of imported ones (≥0.30), and quantized ones.

A copy is exact, byte for byte what llama-quantize makes of the file. Quantized numbers are not computed: the header and
all sizes are right, the blocks are filler that follows from the source, so equal requests give equal digests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from fleet.simulate import gguf
from fleet.simulate.blobs import CHUNK, Content, Hollow, Intake
from fleet.simulate.gguf import Header, Tensor, Value
from fleet.simulate.versions import Behaviour, Capability

_BLOCK = re.compile(r"blk\.(\d+)\.")
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


def copied(header: Header, content: Content, digest: str) -> tuple[Content, str]:
    """The file as llama-quantize copies it: the contents, tensors by layer and name. Gives content and digest."""
    tensors = sorted(header.tensors, key=_by_layer)
    return _written(header, content, digest, _of_library(header, _number(header)), tensors, tensors, "copy")


def quantized(
    header: Header, content: Content, digest: str, file_type: int, behaviour: Behaviour
) -> tuple[Content, str]:
    """The file at another level of quantization. Gives content and digest."""
    if behaviour.has(Capability.QUANTIZER_LIBRARY) or behaviour.has(Capability.IMPORT_REWRITTEN):
        metadata = _of_library(header, file_type)
        tensors = sorted(header.tensors, key=_by_layer)
    else:
        own = {**header.metadata, "general.file_type": gguf.uint(file_type)}
        own["general.parameter_count"] = Value(gguf.Kind.UINT64, header.parameters)
        metadata = {key: own[key] for key in sorted(own)}
        tensors = sorted(header.tensors, key=lambda tensor: (_by_layer(tensor)[0] < 0, *_by_layer(tensor)))
    targets = [replace(tensor, kind=_target(tensor, file_type)) for tensor in tensors]
    return _written(header, content, digest, metadata, tensors, targets, _quantizer(behaviour))


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
    metadata = {key: value for key, value in header.metadata.items() if key != "general.file_type"}
    metadata.pop("general.quantization_version", None)
    return {**metadata, "general.quantization_version": gguf.uint(2), "general.file_type": gguf.uint(file_type)}


def _by_layer(tensor: Tensor) -> tuple[int, str]:
    match = _BLOCK.match(tensor.name)
    return (int(match[1]) if match else -1, tensor.name)


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
    header: Header,
    content: Content,
    digest: str,
    metadata: Mapping[str, Value],
    sources: list[Tensor],
    targets: list[Tensor],
    maker: str,
) -> tuple[Content, str]:
    placed = gguf.laid_out(targets)
    head = gguf.write(metadata, placed)
    last = placed[-1] if placed else None
    length = len(head) + (last.offset + last.size + -last.size % 32 if last else 0)
    if isinstance(content, Hollow) or content.size > _REAL_UP_TO:
        # A content that is not there cannot be rewritten; its size can.
        size = length if header.end <= content.size else content.size + len(head)
        identity = (content.identity if isinstance(content, Hollow) else "") or digest
        made_up = hashlib.sha256(b"\0".join((identity.encode(), maker.encode(), head))).hexdigest()
        return Hollow(head, size, identity), f"sha256:{made_up}"
    intake = Intake()
    intake.add(head)
    for source, target in zip(sources, placed, strict=True):
        intake.add(bytes(len(head) + target.offset - intake.size))
        pieces = (
            _same(header, content, source)
            if source.kind == target.kind
            else _filler(header, content, source, target, maker)
        )
        for piece in pieces:
            intake.add(piece)
    intake.add(bytes(max(0, length - intake.size)))
    return intake.content(), intake.digest


def _same(header: Header, content: Content, tensor: Tensor) -> Iterator[bytes]:
    start = header.start + tensor.offset
    for place in range(start, start + tensor.size, CHUNK):
        wanted = min(CHUNK, start + tensor.size - place)
        yield content.read(place, place + wanted).ljust(wanted, b"\0")


def _filler(header: Header, content: Content, source: Tensor, target: Tensor, maker: str) -> Iterator[bytes]:
    """Follows from the tensor's numbers alone, as real blocks would: the same in whatever file they lie."""
    numbers = hashlib.sha256(f"{maker} {target.kind} ".encode())
    for piece in _same(header, content, source):
        numbers.update(piece)
    block = numbers.digest() * (CHUNK // 32)
    for place in range(0, target.size, CHUNK):
        yield block[: min(CHUNK, target.size - place)]
