"""Uploaded files as create takes them in: which kind they are, and the layers they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fleet.simulate import gguf
from fleet.simulate.blobs import Content, Intake, Slice, taken
from fleet.simulate.gguf import Header
from fleet.simulate.image import Layer, media_type
from fleet.simulate.installed import header_of
from fleet.simulate.rewrite import is_embedded
from fleet.simulate.store import Store
from fleet.simulate.versions import Behaviour, Capability

NOT_GGUF = "supplied file was not in GGUF format"
ONE_ADAPTER = "only one adapter is currently supported"
UNKNOWN_TYPE = "unknown type"
BAD_REQUESTS = {NOT_GGUF, UNKNOWN_TYPE, "no files provided to convert"}
"""Faults that are answered with 400."""
_SNIFFED = 512
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
    """A layer of the model to be, with its GGUF's header; `fresh` if it was just imported, not inherited.

    `shards` are the files of a split one in order; their first is the part itself.
    """

    layer: Layer
    header: Header | None = None
    fresh: bool = False
    shards: Sequence[Part] = ()


def content_type(content: Content) -> str:
    """What the first bytes look like."""
    head = content.read(0, _SNIFFED)
    if gguf.is_gguf(head):
        return "gguf"
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            return name
    return "unknown" if _BINARY & set(head) else "text/plain; charset=utf-8"


def kind_of(files: Iterable[tuple[str, str]], store: Store) -> str:
    """`gguf`, `safetensors`, or empty: from the names, and from the first bytes where names do not tell.

    Go looks at the files in an order of its own, and a missing one ends the look; so the order of `files` counts.
    """
    for name, digest in files:
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


def imported(store: Store, digest: str, file_name: str, kind: str = "") -> list[Part]:
    """The layers of one uploaded GGUF, of a `kind` that its metadata tell if it is not given.

    Raises `ImportRefusedError`, `FileNotFoundError`, `InvalidDigestError`.
    """
    path = store.blobs.path(digest)
    if not digest:
        raise ImportRefusedError(f"read {path}: is a directory")
    content = store.blobs.open(digest)
    if content_type(content) != "gguf":
        raise ImportRefusedError(NOT_GGUF)
    origin = file_name if store.behaviour.has(Capability.IMPORT_REWRITTEN) else path
    return [replace(part, fresh=True) for part in models_in(store, content, digest, origin, kind)]


def models_in(store: Store, content: Content, digest: str, origin: str, kind: str = "") -> list[Part]:
    """The models of a GGUF file, of which early servers find several, one behind the other. `origin` is told of a
    file that is one model and nothing else. Raises `ImportRefusedError`.
    """
    behaviour = store.behaviour
    if not behaviour.has(Capability.SEVERAL_IN_ONE_GGUF):
        header = checked_header(content, behaviour)
        return [Part(store.layer_from(digest, kind or layer_type(header, behaviour), origin), header)]
    parts, start = [], 0
    while start < content.size:
        rest = Slice(content, start, content.size)
        header = checked_header(rest, behaviour)
        whole = start == 0 and header.end >= content.size
        if whole and header.end == content.size and behaviour.has(Capability.IMPORT_NAMES_BLOB):
            layer = store.layer_from(digest, layer_type(header, behaviour), origin)
        else:
            piece = content if whole else taken(Slice(rest, 0, header.end))
            found = (piece.content(), piece.digest) if isinstance(piece, Intake) else (piece, digest)
            layer = store.layer_of(*found, layer_type(header, behaviour))
        parts.append(Part(layer, header))
        start += header.end
    return parts


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
    if named == "adapter" and behaviour.has(Capability.ADAPTERS_BY_TYPE):
        return media_type("adapter")
    return media_type("projector" if _projects(header, named, behaviour) else "model")


def _projects(header: Header, named: str, behaviour: Behaviour) -> bool:
    if behaviour.has(Capability.PROJECTORS_BY_CLIP):
        return header.architecture == "clip"
    vision = header.get("vision.block_count")
    if behaviour.has(Capability.SEVERAL_IN_ONE_GGUF):
        return vision is not None or named == "projector"
    alone = not header.get("block_count")
    if named == "projector" or (alone and vision):
        return True
    encodes = header.get("has_vision_encoder") or header.get("has_audio_encoder")
    return behaviour.has(Capability.MMPROJ) and (
        named == "mmproj" or bool(header.architecture == "clip" and alone and encodes)
    )


def has_embedded_tensors(header: Header | None) -> bool:
    """Whether vision, audio or draft tensors lie in the file, which the server then leaves as it is."""
    return header is not None and any(map(is_embedded, header.tensors))
