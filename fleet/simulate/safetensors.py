"""Safetensors as create converts them: the headers are read and become a GGUF of the same tensors, with filler for numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet.simulate import gguf
from fleet.simulate.blobs import Content, Hollow, digest_of
from fleet.simulate.gguf import Tensor, Value
from fleet.simulate.image import media_type
from fleet.simulate.imports import ImportRefusedError, Part
from fleet.simulate.installed import header_of
from fleet.simulate.store import Store

_ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
    "Phi3ForCausalLM": "phi3",
    "Qwen2ForCausalLM": "qwen2",
    "BertModel": "bert",
    "CohereForCausalLM": "command-r",
}
_NUMBERS = {
    "max_position_embeddings": "context_length",
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
}


def refusal(store: Store, files: Mapping[str, str]) -> None:
    """Looks at names and digests before anything is converted. Raises `ImportRefusedError`, `InvalidDigestError`."""
    for name, digest in files.items():
        if name.startswith("/") or any(part in {"", ".", ".."} for part in name.split("/")):
            raise ImportRefusedError(f"file path must be relative: {name}")
        store.blobs.path(digest)


def converted(store: Store, files: Mapping[str, str], *, adapter: bool) -> Part:
    """The layer that the files make. Raises `ImportRefusedError`, `FileNotFoundError`."""
    config_name = "adapter_config.json" if adapter else "config.json"
    digest = next((digest for name, digest in files.items() if name.rpartition("/")[2] == config_name), None)
    if digest is None:
        raise ImportRefusedError(f"open {config_name}: no such file or directory")
    config = _json(store.blobs.read(digest))
    metadata = {"general.file_type": gguf.uint(1)}
    if adapter:
        metadata |= {"general.architecture": gguf.text("llama"), "general.type": gguf.text("adapter")}
    else:
        metadata |= _metadata(config)
    tensors = [
        tensor
        for name in sorted(files)
        if name.endswith(".safetensors")
        for tensor in _tensors(store.blobs.open(files[name]))
    ]
    head = gguf.write(metadata, gguf.laid_out(tensors))
    placed = gguf.read(head)
    content = Hollow(head, placed.end)
    made_up = digest_of(head + json.dumps(dict(sorted(files.items()))).encode())
    layer = store.layer_of(content, made_up, media_type("adapter" if adapter else "model"))
    return Part(layer, header_of(content), fresh=not adapter)


def _json(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        raise ImportRefusedError("unexpected end of JSON input") from None
    return value if isinstance(value, dict) else {}


def _metadata(config: Mapping[str, Any]) -> dict[str, Value]:
    names = config.get("architectures") or []
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    if not name:
        raise ImportRefusedError("unknown architecture")
    if name not in _ARCHITECTURES:
        raise ImportRefusedError(f'unsupported architecture "{name}"')
    family = _ARCHITECTURES[name]
    metadata = {"general.architecture": gguf.text(family)}
    for key, ours in _NUMBERS.items():
        if isinstance(config.get(key), int):
            metadata[f"{family}.{ours}"] = gguf.uint(config[key])
    return metadata


def _tensors(content: Content) -> list[Tensor]:
    """The tensors that a safetensors file announces, at 16 bits; vectors stay at 32."""
    length = int.from_bytes(content.read(0, 8), "little")
    if not 0 < length <= min(content.size, 1 << 26):
        raise ImportRefusedError("unexpected EOF")
    announced = _json(content.read(8, 8 + length))
    tensors = []
    for name, entry in announced.items():
        shape = entry.get("shape") if name != "__metadata__" and isinstance(entry, dict) else None
        if isinstance(shape, list) and all(isinstance(size, int) and size >= 0 for size in shape):
            reversed_shape = tuple(reversed(shape))
            tensors.append(Tensor(name, reversed_shape, 1 if len(shape) > 1 else 0))
    return tensors
