"""Models that exist on other machines, rebuilt from what was recorded of them: their digests and sizes are the real ones,
their weights a header and a size, and what is not known of them follows from what is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.simulate import gguf
from fleet.simulate.blobs import Content, Held, Hollow, digest_of
from fleet.simulate.config import Config
from fleet.simulate.elsewhere import Elsewhere, StandIn
from fleet.simulate.filetypes import UnknownFileTypeError, number_of
from fleet.simulate.gguf import Tensor, Value
from fleet.simulate.gotext import json_text, sorted_keys
from fleet.simulate.image import CONFIG_TYPE, ImageManifest, Layer, media_type
from fleet.simulate.modelname import Name
from fleet.simulate.store import Store
from fleet.simulate.versions import Behaviour

_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_WIDTH = 64
"""The embedding length of weights that stand for others: small, so that the cache that follows from it weighs nothing."""
_NEWEST = Behaviour.of("0.0.0")


@dataclass(frozen=True, slots=True)
class RecordedImage:
    """An image manifest as a registry told it."""

    raw: str
    """64 hex digits: what newer servers list after a pull."""
    normalised: str
    """What older ones list."""
    config: Layer
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class RecordedText:
    """A text layer: what stands for the text, and digest and size of the real one."""

    text: str
    digest: str
    """`sha256:…`."""
    size: int


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """One model as a host listed and showed it; empty is what is not known. Digests of blobs are `sha256:…`."""

    digest: str
    """As it is listed: 64 hex digits."""
    size: int
    """Bytes of all layers."""
    image: RecordedImage | None = None
    weights: tuple[str, ...] = ()
    """The model, then projectors."""
    weights_size: int = 0
    """Bytes of the first of them."""
    adapters: tuple[str, ...] = ()
    drafts: tuple[str, ...] = ()
    architecture: str = ""
    context_length: int | None = None
    dimensions: Mapping[str, int] = field(default_factory=dict)
    """Of the weights' metadata, by keys without the architecture: what the memory for a context follows from."""
    embeds: bool = False
    model_format: str = "gguf"
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    template: RecordedText | None = None
    system: RecordedText | None = None
    licenses: tuple[RecordedText, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[tuple[str, str], ...] = ()
    """Roles with what they say."""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    parent: str = ""
    remote_model: str = ""
    remote_host: str = ""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What stands for one model: the bytes of its image manifest, and its blobs."""

    raw: bytes
    """As a registry serves it and newer servers keep it."""
    rewritten: bytes
    """As older servers write it."""
    blobs: Mapping[str, Content]


def rebuilt(model: RecordedModel, elsewhere: Elsewhere) -> Rebuilt:
    """Builds it, and lets its manifest and blobs go by their real digests wherever `elsewhere` is known.

    What is known already of a blob stays.
    """
    blobs: dict[str, Content] = {}
    if model.image is None:
        layers = list(_made_up(model, blobs))
        config = _config(model, max(0, model.size - sum(layer.size for layer in layers)), blobs)
        mark, other = model.digest, model.digest
    else:
        layers, config = list(model.image.layers), model.image.config
        blobs |= _contents(model, layers)
        blobs.setdefault(config.digest, StandIn(_config_text(model), config.size))
        mark, other = model.image.raw, model.image.normalised
    for digest, content in blobs.items():
        elsewhere.contents.setdefault(digest, content)
    manifest = ImageManifest(config, layers)
    body = json.loads(manifest.encoded(newline=False))
    # The mark is nothing that a server reads: two manifests that say the same are still two.
    raw = json.dumps({"standsFor": mark, **body}, indent=3).encode()
    rewritten = manifest.encoded(newline=False)
    elsewhere.images[hashlib.sha256(raw).hexdigest()] = mark
    elsewhere.images[hashlib.sha256(rewritten).hexdigest()] = other
    return Rebuilt(raw, rewritten, {digest: elsewhere.contents[digest] for digest in blobs})


def put(store: Store, listed: str, model: RecordedModel, built: Rebuilt, *, modified: int, whole: bool = True) -> None:
    """Puts a model into a host's store under the name that it is listed by. `modified` in nanoseconds since 1970; of
    one that is not `whole` the weights are missing.
    """
    for digest, content in built.blobs.items():
        store.blobs.add(content, digest)
    kept = model.image is None or model.digest == model.image.raw
    stored = store.write(Name.parse(listed), built.raw if kept else built.rewritten, modified)
    if not whole and stored.manifest is not None:
        for layer in stored.manifest.layers or ():
            if layer.kind == "model":
                store.blobs.remove(layer.digest)


def _made_up(model: RecordedModel, blobs: dict[str, Content]) -> Iterator[Layer]:
    """The layers of a model of which no registry told them: weights by their real digests, texts by their own."""
    for place, digest in enumerate(model.weights):
        kind, size = ("model", model.weights_size) if place == 0 else ("projector", 0)
        yield _weights(model, kind, digest, size, blobs)
    for kind, digests in (("adapter", model.adapters), ("draft", model.drafts)):
        for digest in digests:
            yield _weights(model, kind, digest, 0, blobs)
    for kind, text in _texts(model):
        blobs[text.digest] = StandIn(text.text.encode(), text.size)
        yield Layer(media_type(kind), text.digest, text.size)
    for kind, raw in _values(model):
        digest = digest_of(raw)
        blobs[digest] = Held(raw)
        yield Layer(media_type(kind), digest, len(raw))


def _weights(model: RecordedModel, kind: str, digest: str, size: int, blobs: dict[str, Content]) -> Layer:
    content = _stand_in(model, kind, size)
    blobs[digest] = content
    return Layer(media_type(kind), digest, size, model.parent if kind == "model" else "")


def _contents(model: RecordedModel, layers: list[Layer]) -> dict[str, Content]:
    """What the layers of an image hold, as far as the model was shown; licences in their order."""
    texts = {kind: text.text.encode() for kind, text in _texts(model)}
    values = dict(_values(model))
    licenses = iter(each.text.encode() for each in model.licenses)
    found: dict[str, Content] = {}
    for layer in layers:
        match layer.kind:
            case "model" | "projector" | "adapter" | "draft":
                content: Content = _stand_in(model, layer.kind, layer.size)
            case "license":
                content = StandIn(next(licenses, b""), layer.size)
            case "prompt" | "template":
                content = StandIn(texts.get("template", b""), layer.size)
            case "system":
                content = StandIn(texts.get("system", b""), layer.size)
            case "params":
                content = StandIn(values.get("params", b"{}"), layer.size)
            case "messages":
                content = StandIn(values.get("messages", b"[]"), layer.size)
            case _:
                content = Hollow(b"", layer.size)
        found[layer.digest] = content
    return found


def _texts(model: RecordedModel) -> Iterator[tuple[str, RecordedText]]:
    if model.template is not None:
        yield "template", model.template
    if model.system is not None:
        yield "system", model.system
    yield from (("license", text) for text in model.licenses)


def _values(model: RecordedModel) -> Iterator[tuple[str, bytes]]:
    if model.parameters:
        yield "params", json_text(sorted_keys(dict(model.parameters)), newline=True)
    if model.messages:
        said = [{"role": role, "content": content} for role, content in model.messages]
        yield "messages", json_text(said, newline=True)


def _stand_in(model: RecordedModel, kind: str, size: int) -> Hollow:
    head = _header(model) if kind in {"model", "draft"} else _part_header(model, kind)
    return Hollow(head, max(size, len(head)))


def _header(model: RecordedModel) -> bytes:
    """The header of weights with what a server shows of them."""
    family = model.architecture or model.family or "llama"
    metadata: dict[str, Value] = {
        "general.architecture": gguf.text(family),
        "general.file_type": gguf.uint(_file_type(model.quantization)),
    }
    dimensions = {"block_count": 1, "embedding_length": _WIDTH, "attention.head_count": 1, **model.dimensions}
    metadata |= {f"{family}.{key}": gguf.uint(value) for key, value in dimensions.items()}
    if model.context_length is not None:
        metadata[f"{family}.context_length"] = gguf.uint(model.context_length)
    if model.embeds:
        metadata[f"{family}.pooling_type"] = gguf.uint(1)
    width = max(1, dimensions["embedding_length"])
    rows = max(1, _count(model.parameter_size) // width)
    return gguf.write(metadata, [Tensor("token_embd.weight", (width, rows), 0)])


def _part_header(model: RecordedModel, kind: str) -> bytes:
    """Of an adapter or a projector."""
    family = "clip" if kind == "projector" else model.architecture or model.family or "llama"
    metadata = {"general.architecture": gguf.text(family), "general.type": gguf.text(kind)}
    return gguf.write(metadata, [Tensor("stands_for.weight", (_WIDTH, 1), 0)])


def _file_type(level: str) -> int:
    try:
        return number_of(level)
    except UnknownFileTypeError:
        return 0


def _count(text: str) -> int:
    """`7B`, `1.5B`, `122K` as a number of parameters; a guess where the host told none."""
    unit = _UNITS.get(text[-1:].upper(), 1)
    try:
        return min(int(float(text[:-1] if unit > 1 else text) * unit), 10**13)
    except (ValueError, OverflowError):
        return _UNITS["B"]


def _config(model: RecordedModel, size: int, blobs: dict[str, Content]) -> Layer:
    """Of the size that is left of the model's own; its digest follows from the model's."""
    text = _config_text(model)
    digest = digest_of(model.digest.encode() + text)
    blobs[digest] = StandIn(text, size)
    return Layer(CONFIG_TYPE, digest, size)


def _config_text(model: RecordedModel) -> bytes:
    config = Config(
        model_format=model.model_format,
        model_family=model.family,
        model_families=[model.family] if model.family else None,
        model_type=model.parameter_size,
        file_type=model.quantization,
        renderer=model.renderer,
        parser=model.parser,
        requires=model.requires,
        remote_host=model.remote_host,
        remote_model=model.remote_model,
    )
    return config.encoded((), _NEWEST)
