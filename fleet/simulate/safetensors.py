"""Safetensors as create converts them: the headers are read and become a GGUF of the same tensors, with filler for numbers.

What comes out follows from the contents and the server's series, however the files came there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Never

from fleet.simulate import gguf
from fleet.simulate.blobs import Content, Hollow
from fleet.simulate.gguf import Header, Kind, Tensor, Value
from fleet.simulate.image import media_type
from fleet.simulate.imports import ImportRefusedError, Part
from fleet.simulate.installed import header_of
from fleet.simulate.store import Store
from fleet.simulate.versions import Behaviour, Capability

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
_ADAPTED = {"llama", "gemma2"}
_NUMBERS = {
    "max_position_embeddings": "context_length",
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
}
_EARLY_NAMES = ("model-*-of-*.safetensors", "model.safetensors", "adapters.safetensors", "adapter_model.safetensors")
_TOKENIZERS = ("tokenizer.model", "tokenizer.json")
_READ = re.compile(r"(?:adapter_)?config\.json|tokenizer\.(?:json|model)|(?:tokenizer|generation)_config\.json")
"""Besides the tensors, what the conversion reads."""
_SCALES = ("_scale_inv", "_scale")
_F32, _F16, _BF16 = 0, 1, 30


class UnparsedError(ImportRefusedError):
    """A file that should be JSON is none."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder that is converted; one whose blob is missing has no content."""

    digest: str
    content: Content | None


@dataclass(frozen=True, slots=True)
class Folder:
    """The files to be converted, by their paths. `missing` is what the system says of one that is not there."""

    files: Mapping[str, File]
    missing: str = "no such file or directory"

    def open(self, name: str) -> Content:
        """Raises `ImportRefusedError`."""
        file = self.files.get(name)
        if file is None or file.content is None:
            raise ImportRefusedError(f"open {name}: {self.missing}")
        return file.content

    def has(self, name: str) -> bool:
        return name in self.files and self.files[name].content is not None


def folder_of(store: Store, files: Mapping[str, str]) -> Folder:
    """The folder that create makes of uploaded files. Raises `ImportRefusedError`, `InvalidDigestError`."""
    for name, digest in files.items():
        if store.behaviour.has(Capability.FILE_KEYS_RELATIVE) and not _inside(name):
            raise ImportRefusedError(f"file path must be relative: {name}")
        store.blobs.path(digest)
    return Folder({name: File(digest, store.blobs.find(digest)) for name, digest in files.items()})


def _inside(name: str) -> bool:
    return not any(part in {"", ".", ".."} for part in name.split("/"))


def converted(store: Store, folder: Folder) -> Part:
    """The layer that the files make. Raises `ImportRefusedError`."""
    behaviour = store.behaviour
    try:
        config = _json(folder.open("config.json"))
    except UnparsedError as fault:
        named = "parse config.json: " if behaviour.has(Capability.CONFIG_NAMED) else ""
        raise ImportRefusedError(f"{named}{fault}") from None
    metadata = _metadata(config, behaviour)
    if not any(map(folder.has, _TOKENIZERS)):
        raise ImportRefusedError("unknown tokenizer format")
    template = _chat_template(folder)
    if template:
        metadata["tokenizer.chat_template"] = gguf.text(template)
    tensors, packed = _tensors(folder, behaviour, config)
    if packed:
        family = metadata["general.architecture"].value
        metadata[f"{family}.source_quantization"] = gguf.text("hf_fp8")
        metadata[f"{family}.source_fp8_tensors"] = Value(Kind.ARRAY, packed, Kind.STRING)
    return _made(store, folder, metadata, tensors, "model")


def converted_adapter(store: Store, folder: Folder, base: Header | None) -> Part:
    """The layer that an adapter's files make, for a base of this header. Raises `ImportRefusedError`."""
    config = _json(folder.open("adapter_config.json"))
    family = base.architecture if base else "unknown"
    if family not in _ADAPTED:
        raise ImportRefusedError("unsupported architecture")
    alpha = config.get("lora_alpha")
    metadata = {
        "general.file_type": gguf.uint(1),
        "general.architecture": gguf.text(family),
        "general.type": gguf.text("adapter"),
        "general.version": gguf.text("v0.2"),
        "adapter.type": gguf.text("lora"),
        "adapter.lora.alpha": Value(Kind.FLOAT32, float(alpha) if isinstance(alpha, int | float) else 0.0),
    }
    tensors, _ = _tensors(folder, store.behaviour, config)
    return _made(store, folder, metadata, tensors, "adapter")


def refuse_draft(base: Sequence[Header]) -> Never:
    """What a server says of safetensors for a draft: it takes them for one family, of which none can be made here.

    Raises `ImportRefusedError`.
    """
    if not base:
        raise ImportRefusedError("no base model was found")
    family = base[0].architecture
    raise ImportRefusedError(f'MTP draft safetensors require a qwen3.5 base model, got "{family}"')


def is_packed(header: Header) -> bool:
    """Whether the tensors were converted from eight-bit floats: they are quantized unasked."""
    return header.get("source_quantization") == "hf_fp8" and bool(header.get("source_fp8_tensors"))


def _made(store: Store, folder: Folder, metadata: Mapping[str, Value], tensors: list[Tensor], kind: str) -> Part:
    head = gguf.write({key: metadata[key] for key in sorted(metadata)}, gguf.laid_out(tensors))
    content = Hollow(head, gguf.read(head).end)
    told = sorted((name, file.digest) for name, file in folder.files.items() if _counts(name))
    series = ".".join(map(str, store.behaviour.release[:2]))
    made_up = hashlib.sha256(b"\0".join((series.encode(), head, json.dumps(told).encode()))).hexdigest()
    store.blobs.make_room(2 * content.size, "fp16")
    return Part(store.layer_of(content, f"sha256:{made_up}", media_type(kind)), header_of(content))


def _counts(name: str) -> bool:
    return name.endswith(".safetensors") or bool(_READ.fullmatch(name))


def _json(content: Content) -> dict[str, Any]:
    return _parsed(content.read(0, content.size))


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        raise UnparsedError("unexpected end of JSON input") from None
    return value if isinstance(value, dict) else {}


def _metadata(config: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Value]:
    names = config.get("architectures") or []
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    if not name:
        raise ImportRefusedError("unknown architecture")
    if name not in _ARCHITECTURES:
        named = f' "{name}"' if behaviour.has(Capability.ARCHITECTURE_NAMED) else ""
        raise ImportRefusedError(f"unsupported architecture{named}")
    family = _ARCHITECTURES[name]
    metadata = {"general.architecture": gguf.text(family), "general.file_type": gguf.uint(1)}
    for key, ours in _NUMBERS.items():
        if isinstance(config.get(key), int):
            metadata[f"{family}.{ours}"] = gguf.uint(config[key])
    return metadata


def _chat_template(folder: Folder) -> str:
    """The template in `tokenizer_config.json`: a text, or the one called `default` of several."""
    if not folder.has("tokenizer_config.json"):
        return ""
    found = _json(folder.open("tokenizer_config.json")).get("chat_template")
    if isinstance(found, list):
        named = [one for one in found if isinstance(one, dict) and one.get("name") == "default"]
        found = named[0].get("template") if named else ""
    return found if isinstance(found, str) else ""


def _tensors(folder: Folder, behaviour: Behaviour, config: Mapping[str, Any]) -> tuple[list[Tensor], list[str]]:
    """The tensors of all files, and the names of those that were eight-bit floats."""
    patterns = ("*.safetensors",) if behaviour.has(Capability.ANY_SAFETENSORS) else _EARLY_NAMES
    at_hand = sorted(name for name in folder.files if "/" not in name)
    for pattern in patterns:
        names = [name for name in at_hand if fnmatchcase(name, pattern)]
        if names:
            break
    else:
        raise ImportRefusedError("unknown tensor format")
    tensors, packed = [], []
    for name in names:
        announced = _announced(folder.open(name))
        for key in sorted(announced):
            shape, kind = announced[key]
            if kind == "F8_E4M3" and behaviour.has(Capability.FP8):
                _refuse_bare(key, announced, config)
                packed.append(key)
            elif behaviour.has(Capability.FP8) and _scales(key, announced):
                continue
            type_ = _F32 if len(shape) < 2 else _BF16 if key in packed else _F16
            tensors.append(Tensor(key, tuple(reversed(shape or [1])), type_))
    return tensors, packed


def _scales(name: str, announced: Mapping[str, Any]) -> bool:
    """Whether this is the companion of a packed tensor: it is used up in the conversion."""
    return any(name.endswith(end) and name.removesuffix(end) in announced for end in _SCALES)


def _refuse_bare(name: str, announced: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises `ImportRefusedError` for a packed tensor that nothing tells how to unpack."""
    described = config.get("quantization_config")
    if not isinstance(described, dict) or not described.get("weight_block_size"):
        raise ImportRefusedError(f'missing fp8 block size metadata for tensor "{name}"')
    if not any(name + end in announced for end in _SCALES):
        raise ImportRefusedError(f'missing fp8 scale companion for tensor "{name}"')


def _announced(content: Content) -> dict[str, tuple[list[int], str]]:
    """Shape and type of the tensors that a safetensors file announces."""
    length = int.from_bytes(content.read(0, 8), "little")
    if not 0 < length <= min(content.size, 1 << 26):
        raise ImportRefusedError("unexpected EOF")
    found = {}
    for name, entry in _parsed(content.read(8, 8 + length)).items():
        shape = entry.get("shape") if name != "__metadata__" and isinstance(entry, dict) else None
        if isinstance(shape, list) and all(isinstance(size, int) and size >= 0 for size in shape):
            found[name] = (shape, str(entry.get("dtype")))
    return found
