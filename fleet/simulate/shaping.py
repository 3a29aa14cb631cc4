"""What create does to the weights of one layer before it keeps them: quantize, copy, join, complete (`ollama-api.md` 7.5, 7.6)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

from fleet.simulate import filetypes, gguf, rewrite
from fleet.simulate.blobs import Content, NoSpaceError
from fleet.simulate.events import Line, progress
from fleet.simulate.filetypes import name_of, number_of
from fleet.simulate.gguf import Header
from fleet.simulate.imports import Part, has_embedded_tensors
from fleet.simulate.installed import header_of
from fleet.simulate.rewrite import Source
from fleet.simulate.safetensors import is_packed
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability

_FLOATS = ("F16", "F32")
_WORKING = "0000000000000000000"
"""The digest in lines that tell of work on a layer."""


class QuantizerFailedError(ValueError):
    """The outer program gave up. The text is the server's."""


class Shaping:
    """The shaping of one part, whose layer and header are exchanged."""

    def __init__(self, store: Store, part: Part) -> None:
        self._store = store
        self._behaviour = store.behaviour
        self._part = part

    def shaped(self, wanted: Mapping[str, str]) -> Iterator[Line]:
        """The lines that are told of it. `wanted` has the level of quantization by kind of layer, empty for none.

        Raises `ValueError`, `OSError`.
        """
        part = self._part
        outer = self._behaviour.has(Capability.IMPORT_REWRITTEN)
        if outer and part.fresh and any(has_embedded_tensors(shard.header) for shard in part.shards):
            self._exchange(*rewrite.restored(self._sources()))
            part.fresh, part.shards = False, ()
        header, kind = part.header, part.layer.kind
        if header is None:
            return
        level = wanted.get(kind, "")
        if not level and kind == "model" and is_packed(header) and self._level(header) in self._offered():
            level = "Q8_0"
        if level and (yield from self._quantized(header, level)):
            return
        embedded = kind == "model" and has_embedded_tensors(header)
        if outer and part.fresh and (kind == "model" or (kind == "draft" and part.shards)) and not embedded:
            yield from self._copied()
        elif outer and part.fresh and kind == "projector" and _lacks_projector_type(header):
            yield progress("updating GGUF projector metadata")
            self._exchange(*rewrite.restored(self._sources(), clip__projector_type=gguf.text("mlp")))

    def _level(self, header: Header) -> str:
        return name_of(header.file_type, self._behaviour)

    def _offered(self) -> tuple[str, ...]:
        return (*_FLOATS, "BF16") if self._behaviour.has(Capability.QUANTIZE_BF16) else _FLOATS

    def _quantized(self, header: Header, name: str) -> Generator[Line, None, bool]:
        """The lines; gives whether anything was done."""
        wanted = number_of(name, self._behaviour)
        level = self._level(header)
        if self._part.layer.kind == "draft" and level not in {*_FLOATS, "BF16", "unknown"}:
            raise filetypes.UnknownFileTypeError(f"draft quantization requires an unquantized draft model, got {level}")
        if level not in self._offered():
            sources = "F16, BF16 and F32" if self._behaviour.has(Capability.QUANTIZE_BF16) else "F16 and F32"
            raise filetypes.UnknownFileTypeError(f"quantization is only supported for {sources} models")
        if wanted == header.file_type:
            return False
        status = f"quantizing {level} model to {name}"
        if self._behaviour.has(Capability.QUANTIZE_PROGRESS):
            yield from self._working(header, status)
            yield progress("verifying conversion")
        else:
            yield progress(status)
        made = rewrite.quantized(self._sources(), wanted, self._behaviour)
        self._refuse_without_room(made[0], name)
        self._exchange(*made)
        return True

    def _copied(self) -> Iterator[Line]:
        made = rewrite.copied(self._sources())
        try:
            self._refuse_without_room(made[0], "COPY")
        except QuantizerFailedError as fault:
            told = "failed to validate GGUF with llama-quantize without compatibility patches"
            raise QuantizerFailedError(f"{told}: {fault}") from None
        yield progress("verifying conversion")
        self._exchange(*made)

    def _working(self, header: Header, status: str) -> Iterator[Line]:
        """Progress, tensor by tensor. The outer program's is not heard of, whatever the server would make of it."""
        if self._behaviour.has(Capability.IMPORT_REWRITTEN):
            return
        size, done = self._part.layer.size, 0
        whole = max(1, size - header.start)
        for tensor in header.tensors:
            done += tensor.size
            yield progress(status, digest=_WORKING, total=size, completed=min(size, size * done // whole))

    def _refuse_without_room(self, content: Content, name: str) -> None:
        """What is written lies on the disk twice for a moment. The outer program does not say why it gives up."""
        blobs = self._store.blobs
        try:
            blobs.make_room(content.size, name)
        except NoSpaceError:
            if self._behaviour.has(Capability.IMPORT_REWRITTEN):
                raise QuantizerFailedError("llama-quantize failed: exit status 1") from None
            raise
        blobs.make_room(2 * content.size, "sha256-upload")

    def _sources(self) -> list[Source]:
        """The files of the layer. Raises `FileNotFoundError`."""
        blobs = self._store.blobs
        return [
            Source(shard.header, blobs.open(shard.layer.digest), shard.layer.digest)
            for shard in self._part.shards or (self._part,)
            if shard.header is not None
        ]

    def _exchange(self, content: Content, digest: str) -> None:
        self._part.layer = self._store.layer_of(content, digest, self._part.layer.media_type)
        self._part.header = header_of(content)


def _lacks_projector_type(header: Header) -> bool:
    """Whether this is an image encoder that does not say how its output is projected."""
    if header.architecture != "clip" or not header.get("has_vision_encoder"):
        return False
    return not {"clip.projector_type", "clip.vision.projector_type"} & header.metadata.keys()
