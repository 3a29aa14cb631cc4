"""What the models of a scenario are made of: weights with a true GGUF header, texts, a config, an image manifest.

Everything follows from the description of the model, so that two hosts and the registry agree byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files

from fleet.names import ModelName
from fleet.simulate import gguf
from fleet.simulate.gotext import json_text, sorted_keys
from fleet.simulate.registry import MANIFEST_TYPE, Image
from fleet.simulate.registry_content import Blob, DeclaredBlob, GeneratedBlob, TextBlob
from fleet.simulate.scenario import FurtherRegistrySpec, ModelSpec, OfferedModel, RegistrySpec, parse_scenario

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.ollama.image."
_COLUMNS = 256
_TENSOR_KIND = {"F32": 0, "F16": 1, "BF16": 30, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q8_0": 8, "Q2_K": 10, "Q6_K": 14}
_TENSOR_KIND |= {"Q3_K_M": 11, "Q4_K_S": 12, "Q4_K_M": 12, "Q5_K_S": 13, "Q5_K_M": 13}
_FILE_TYPE = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q2_K": 10, "Q3_K_M": 12, "Q4_K_S": 14}
_FILE_TYPE |= {"Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "BF16": 32}


def offered(registry: RegistrySpec | FurtherRegistrySpec) -> dict[str, OfferedModel]:
    """The catalogue of a scenario by short names; the small one that comes with fleet where it names none."""
    if registry.models is None:
        return _well_known()
    return {name: model or _well_known().get(name, OfferedModel()) for name, model in registry.models.items()}


@lru_cache(maxsize=1)
def _well_known() -> dict[str, OfferedModel]:
    text = files(__package__).joinpath("catalogue.yaml").read_text("utf-8")
    models = parse_scenario(text, "catalogue.yaml").registry.models or {}
    return {name: model or OfferedModel() for name, model in models.items()}


def builder(name: str, spec: ModelSpec) -> Callable[[], Image]:
    """What makes the image when it is first needed."""
    return lambda: build(name, spec)


def build(name: str, spec: ModelSpec) -> Image:
    """The image of a model. It is made, and its weights are hashed, once for each process: a second for each GiB."""
    return _built(name, spec.model_dump_json(exclude={"private"}))


@lru_cache(maxsize=4096)
def _built(name: str, described: str) -> Image:
    spec = ModelSpec.model_validate_json(described)
    weights = _weights(ModelName.parse(name), spec)
    digest = spec.digest or (weights.digest() if isinstance(weights, GeneratedBlob) else "")
    blobs: dict[str, Blob] = {digest: weights}
    layers = [_described("model", digest, weights.size)]
    for kind, content in _texts(spec):
        found = hashlib.sha256(content).hexdigest()
        blobs[found] = TextBlob(content)
        layers.append(_described(kind, found, len(content)))
    config = _config(spec, [str(layer["digest"]) for layer in layers])
    found = hashlib.sha256(config).hexdigest()
    blobs[found] = TextBlob(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": f"sha256:{found}", "size": len(config)},
        "layers": layers,
    }
    written = json.dumps(manifest, indent=3) if spec.indented else json.dumps(manifest, separators=(",", ":"))
    return Image(written.encode(), blobs)


def _described(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": _LAYER + kind, "digest": f"sha256:{digest}", "size": size}


def _texts(spec: ModelSpec) -> list[tuple[str, bytes]]:
    """The layers besides the weights, in the order in which publishers have them."""
    template = _template(spec) if spec.template is None else spec.template
    texts = [("template", template), ("system", spec.system or ""), *(("license", text) for text in spec.license)]
    layers = [(kind, text.encode()) for kind, text in texts if text]
    if spec.parameters:
        layers.append(("params", json_text(sorted_keys(spec.parameters), newline=True)))
    if spec.messages:
        layers.append(("messages", json_text([message.model_dump() for message in spec.messages], newline=True)))
    return layers


def _template(spec: ModelSpec) -> str:
    """A template that shows what the model can do: servers read capabilities from the variables in it."""
    if "embedding" in spec.capabilities:
        return ""
    parts = ["{{ if .System }}<|system|>{{ .System }}{{ end }}"]
    parts += ["{{ if .Tools }}<|tools|>{{ .Tools }}{{ end }}"] if "tools" in spec.capabilities else []
    parts += ["{{ if .Suffix }}<|suffix|>{{ .Suffix }}{{ end }}"] if "insert" in spec.capabilities else []
    parts += ["{{ if .Thinking }}<|think|>{{ .Thinking }}{{ end }}"] if "thinking" in spec.capabilities else []
    return "".join([*parts, "<|user|>{{ .Prompt }}<|assistant|>{{ .Response }}"])


def _config(spec: ModelSpec, layers: list[str]) -> bytes:
    config = {
        "model_format": "gguf",
        "model_family": spec.family,
        "model_families": [spec.family],
        "model_type": spec.parameter_size,
        "file_type": spec.quantization,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": layers},
    }
    return json.dumps(config, separators=(",", ":")).encode()


def _weights(name: ModelName, spec: ModelSpec) -> GeneratedBlob | DeclaredBlob:
    kind = _TENSOR_KIND.get(spec.quantization, 1)
    row = gguf.Tensor("token_embd.weight", (_COLUMNS, 1), kind)
    empty = gguf.write(_metadata(spec), [row])
    rows = max(1, (spec.size - len(empty)) // row.size)
    head = gguf.write(_metadata(spec), [gguf.Tensor(row.name, (_COLUMNS, rows), kind)])
    if spec.digest is not None:
        return DeclaredBlob(head, spec.size)
    return GeneratedBlob(head, spec.seed or str(name), max(spec.size, len(head) + row.size))


def _metadata(spec: ModelSpec) -> dict[str, gguf.Value]:
    family = spec.family
    metadata = {
        "general.architecture": gguf.text(family),
        "general.file_type": gguf.uint(_FILE_TYPE.get(spec.quantization, 1)),
        f"{family}.context_length": gguf.uint(spec.context_length),
        f"{family}.embedding_length": gguf.uint(spec.embedding_length),
        f"{family}.block_count": gguf.uint(1),
        f"{family}.attention.head_count": gguf.uint(8),
        f"{family}.attention.head_count_kv": gguf.uint(8),
        "tokenizer.ggml.model": gguf.text("gpt2"),
    }
    if "embedding" in spec.capabilities:
        metadata[f"{family}.pooling_type"] = gguf.uint(1)
    if "vision" in spec.capabilities:
        metadata[f"{family}.vision.block_count"] = gguf.uint(1)
    return metadata
