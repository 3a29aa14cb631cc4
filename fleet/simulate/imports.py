"""Uploaded files as create takes them in: which kind they are, and the layers they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.simulate import gguf
from fleet.simulate.blobs import Content
from fleet.simulate.gguf import Header
from fleet.simulate.image import Layer, media_type
from fleet.simulate.installed import header_of
from fleet.simulate.store import Store
from fleet.simulate.versions import Behaviour, Capability

NOT_GGUF = "supplied file was not in GGUF format"
ONE_ADAPTER = "only one adapter is currently supported"
UNKNOWN_TYPE = "unknown type"
BAD_REQUESTS = {NOT_GGUF, UNKNOWN_TYPE, "no files provided to convert"}
"""Faults that are answered with 400."""
_SNIFFED = 512
_SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf\Z")
_EMBEDDED = ("a.", "mm.", "mtp.", "s.", "v.")
_SIGNATURES = {
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b\x08": "application/x-gzip",
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"\xff\xd8\xff": "image/jpeg",
    b"lmgg": "ggml",
    b"fmgg": "ggmf",
    b"tjgg": "ggjt",
    b"algg": "ggla",
}
_BINARY = frozenset(range(9)) | {0x0B} | frozenset(range(0x0E, 0x1B)) | frozenset(range(0x1C, 0x20))


class ImportRefusedError(ValueError):
    """A file cannot be taken in. The text is the server's."""


@dataclass(slots=True)
class Part:
    """A layer of the model to be, with its GGUF's header; `fresh` if it was just imported, not inherited."""

    layer: Layer
    header: Header | None = None
    fresh: bool = False


def content_type(content: Content) -> str:
    """What the first bytes look like."""
    head = content.read(0, _SNIFFED)
    if gguf.is_gguf(head):
        return "gguf"
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            return name
    return "unknown" if _BINARY & set(head) else "text/plain; charset=utf-8"


def kind_of(files: Mapping[str, str], store: Store) -> str:
    """`gguf`, `safetensors`, or empty: from the names, and from the first bytes where names do not tell."""
    for name, digest in files.items():
        if name.endswith(".safetensors"):
            return "safetensors"
        by_name = (".bin", ".gguf") if store.behaviour.has(Capability.FILES_BY_BIN) else (".gguf",)
        if name.endswith(by_name):
            return "gguf"
        if store.behaviour.has(Capability.FILES_BY_MAGIC):
            content = store.blobs.find(digest)
            if content is None:
                return ""
            if gguf.is_gguf(content.read(0, 4)):
                return "gguf"
    return ""


def imported(store: Store, digest: str, file_name: str) -> Part:
    """The layer of one uploaded GGUF. Raises `ImportRefusedError`, `FileNotFoundError`, `InvalidDigestError`."""
    path = store.blobs.path(digest)
    if not digest:
        raise ImportRefusedError(f"read {path}: is a directory")
    content = store.blobs.open(digest)
    if content_type(content) != "gguf":
        raise ImportRefusedError(NOT_GGUF)
    header = checked_header(content, store.behaviour)
    origin = file_name if store.behaviour.has(Capability.IMPORT_REWRITTEN) else path
    return Part(store.layer_from(digest, layer_type(header, store.behaviour), origin), header, fresh=True)


def checked_header(content: Content, behaviour: Behaviour) -> Header:
    """The header of an imported file. Raises `ImportRefusedError`."""
    try:
        header = header_of(content)
        if behaviour.has(Capability.TENSOR_BOUNDS_CHECKED):
            for tensor in header.tensors:
                end = header.start + tensor.offset + tensor.size
                if end > content.size:
                    raise ImportRefusedError(
                        f'tensor "{tensor.name}" offset+size ({end}) exceeds file size ({content.size})'
                    )
    except gguf.GgufError as fault:
        raise ImportRefusedError(str(fault)) from None
    return header


def layer_type(header: Header, behaviour: Behaviour) -> str:
    """Which kind of layer a GGUF makes, from its metadata."""
    kind = header.metadata.get("general.type")
    named = kind.value if kind else "unknown"
    vision = header.get("vision.block_count")
    if named == "adapter":
        return media_type("adapter")
    if behaviour.has(Capability.IMPORT_REWRITTEN) and (
        named == "mmproj" or (header.architecture == "clip" and not header.get("block_count") and _encodes(header))
    ):
        return media_type("projector")
    alone = not behaviour.has(Capability.SEVERAL_IN_ONE_GGUF)
    stands_alone = vision and not header.get("block_count") if alone else vision is not None
    return media_type("projector" if stands_alone or named == "projector" else "model")


def _encodes(header: Header) -> bool:
    return bool(header.get("has_vision_encoder") or header.get("has_audio_encoder"))


def has_embedded_tensors(header: Header) -> bool:
    """Whether vision, audio or draft tensors lie in the file, which the server then leaves as it is."""
    return any(tensor.name.startswith(_EMBEDDED) for tensor in header.tensors)


def merged(parts: list[Part]) -> list[Part]:
    """Split GGUFs as one part each: the first shard, with the tensors of all. Raises `ImportRefusedError`."""
    whole = [part for part in parts if _shards(part) <= 1]
    groups: dict[str, list[Part]] = {}
    for part in parts:
        count = _shards(part)
        if count > 1:
            groups.setdefault(_group(part, count), []).append(part)
    return whole + [_merged(shards) for shards in groups.values()]


def _shards(part: Part) -> int:
    found = part.header.get("split.count") if part.header else None
    return found if isinstance(found, int) else 0


def _group(part: Part, count: int) -> str:
    name = part.layer.origin
    match = _SPLIT.search(name.rpartition("/")[2])
    if not match:
        raise ImportRefusedError(f'split GGUF "{name}" must use llama.cpp split filename pattern')
    if int(match[3]) != count:
        raise ImportRefusedError(
            f'split GGUF "{name}" filename count {int(match[3])} does not match metadata count {count}'
        )
    return match[1]


def _merged(shards: list[Part]) -> Part:
    first = shards[0]
    count = _shards(first)
    if count != len(shards) or first.header is None:
        raise ImportRefusedError(f'split GGUF "{first.layer.origin}" has {len(shards)} shards, expected {count}')
    tensors = [tensor for shard in shards if shard.header for tensor in shard.header.tensors]
    metadata = {key: value for key, value in first.header.metadata.items() if not key.startswith("split.")}
    return Part(first.layer, first.header.changed(metadata, gguf.laid_out(tensors)), fresh=True)
