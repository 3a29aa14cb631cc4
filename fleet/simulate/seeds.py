"""Models put into a store without the API, as if they had been pulled or made there before the simulation began."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.simulate import gguf
from fleet.simulate.assembly import human_number
from fleet.simulate.blobs import Hollow
from fleet.simulate.config import Config
from fleet.simulate.filetypes import number_of
from fleet.simulate.gguf import Tensor, Value
from fleet.simulate.gotext import json_text, sorted_keys
from fleet.simulate.image import CONFIG_TYPE, ImageManifest, Layer, media_type
from fleet.simulate.modelname import Name
from fleet.simulate.store import Store

_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_TOOLS = "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .System }} {{ .Prompt }}"
_THINKING = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}"


def seed(
    store: Store,
    name: Name,
    *,
    size: int = 4096,
    seed: str | int = 0,
    digest: str | None = None,
    family: str = "llama",
    parameter_size: str = "1B",
    quantization: str = "Q4_K_M",
    context_length: int = 8192,
    embedding_length: int = 64,
    capabilities: Sequence[str] = ("completion",),
    template: str | None = None,
    system: str = "",
    parameters: Mapping[str, Any] | None = None,
    license: str | Sequence[str] = (),  # noqa: A002 - it is called that everywhere else
    messages: Sequence[Mapping[str, str]] = (),
    renderer: str = "",
    parser: str = "",
    requires: str = "",
    parent: str = "",
) -> str:
    """Writes a model whose weights exist as a header and a size alone; gives the manifest's bare digest.

    Equal `seed`, `family` and `size` (bytes) give equal weights, whatever the name. `digest` (`sha256:…`) is what
    the weights go by instead of one made up. `capabilities` are brought about by what servers infer them from: a
    template, or metadata. `parent` is the name that the weights' layer says it came from.
    """
    head = weights(
        family,
        parameter_size,
        quantization,
        context_length=context_length,
        embedding_length=embedding_length,
        capabilities=capabilities,
    )
    made_up = f"sha256:{hashlib.sha256(head + f'{seed} {size}'.encode()).hexdigest()}"
    content = Hollow(head, max(size, len(head)))
    layer = store.layer_of(content, digest or made_up, media_type("model"))
    layers = [Layer(layer.media_type, layer.digest, layer.size, parent)]

    def add(kind: str, text: bytes) -> None:
        layers.append(store.layer(text, media_type(kind)))

    text = template if template is not None else _template_for(capabilities)
    if text:
        add("template", text.encode())
    if system:
        add("system", system.encode())
    for licence in [license] if isinstance(license, str) else license:
        add("license", licence.encode())
    if messages:
        add("messages", json_text(list(messages), newline=True))
    if parameters:
        add("params", json_text(sorted_keys(dict(parameters)), newline=True))
    config = Config(
        model_format="gguf",
        model_family=family,
        model_families=[family],
        model_type=human_number(_count(parameter_size)),
        file_type=quantization,
        renderer=renderer,
        parser=parser,
        requires=requires,
    )
    config_layer = store.layer(config.encoded(layers, store.behaviour), CONFIG_TYPE)
    return store.write(name, ImageManifest(config_layer, layers).encoded(newline=False)).digest


def weights(
    family: str,
    parameter_size: str,
    quantization: str,
    *,
    context_length: int,
    embedding_length: int,
    capabilities: Sequence[str] = (),
) -> bytes:
    """The header of a GGUF with so many parameters: one tensor that has them all."""
    metadata: dict[str, Value] = {
        "general.architecture": gguf.text(family),
        "general.file_type": gguf.uint(number_of(quantization)),
        f"{family}.block_count": gguf.uint(1),
        f"{family}.context_length": gguf.uint(context_length),
        f"{family}.embedding_length": gguf.uint(embedding_length),
        f"{family}.attention.head_count": gguf.uint(1),
    }
    if "embedding" in capabilities:
        metadata[f"{family}.pooling_type"] = gguf.uint(1)
    if "vision" in capabilities:
        metadata[f"{family}.vision.block_count"] = gguf.uint(1)
    width = max(1, embedding_length)
    rows = max(1, round(_count(parameter_size) / width))
    return gguf.write(metadata, [Tensor("token_embd.weight", (width, rows), 0)])


def _template_for(capabilities: Sequence[str]) -> str:
    """A template from which a server infers these capabilities; empty where it needs none."""
    parts = [_TOOLS] if "tools" in capabilities else []
    parts += [_THINKING] if "thinking" in capabilities else []
    parts += ["{{ .Suffix }}{{ .Prompt }}"] if "insert" in capabilities else []
    return "".join(parts)


def _count(text: str) -> int:
    """`7B`, `1.5B`, `122K` or a plain number, as a number of parameters."""
    unit = _UNITS.get(text[-1:].upper(), 1)
    return int(float(text[:-1] if unit > 1 else text) * unit)
