"""Writes small files that models can be made from, whole and damaged ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Any

from fleet.names import Digest
from fleet.weights.inspect import look_into
from fleet.weights.local import LocalFile

U16, U32, BOOL, STRING, ARRAY = 2, 4, 7, 8, 9
_LETTERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32, F16, Q8_0, Q4_K = 0, 1, 8, 12
_SIZES = {F32: (1, 4), F16: (1, 2), Q8_0: (32, 34), Q4_K: (256, 144)}


@dataclass(frozen=True, slots=True)
class Typed:
    """A value of the metadata with the number of its type; a list's `of` is that of what it lists."""

    kind: int
    value: Any
    of: int = STRING


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    shape: tuple[int, ...] = (32, 4)
    kind: int = F16
    offset: int | None = None
    """Behind the tensor before it, where nothing is given."""

    @property
    def size(self) -> int:
        numbers, size = _SIZES.get(self.kind, (1, 0))
        for length in self.shape:
            size *= length
        return size // numbers


LLAMA = {
    "general.architecture": "llama",
    "general.name": "made",
    "general.file_type": 1,
    "llama.context_length": 256,
    "llama.embedding_length": 32,
    "llama.block_count": 1,
    "llama.attention.head_count": 4,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": Typed(ARRAY, ["<unk>", "<s>", "</s>", "▁a"]),
    "tokenizer.ggml.scores": Typed(ARRAY, [0.0, 0.0, 0.0, -1.0], of=6),
}
WEIGHTS = (
    Tensor("token_embd.weight"),
    Tensor("blk.0.attn_q.weight", (32, 32)),
    Tensor("output_norm.weight", (32,), F32),
)


def gguf(
    metadata: Mapping[str, object],
    tensors: Sequence[Tensor] = (),
    *,
    version: int = 3,
    big: bool = False,
    counts: tuple[int | None, int | None] = (None, None),
    cut: int = 0,
) -> bytes:
    """A file of this metadata (texts, numbers and yes or no as they are, all else as `Typed`) and filler for tensors.

    `counts` are announced in place of the true ones, of tensors and of values; `cut` bytes are missing at the end.
    """
    order = ">" if big else "<"
    count = order + ("I" if version == 1 else "Q")

    def text(value: str) -> bytes:
        content = value.encode("utf-8", "surrogateescape") + (b"\0" if version == 1 else b"")
        return pack(order + "Q", len(content)) + content

    def single(kind: int, value: object) -> bytes:
        if kind == STRING:
            return text(str(value))
        if kind == ARRAY:
            assert isinstance(value, Typed)
            return array(value)
        return pack(order + _LETTERS[kind], value)

    def array(value: Typed) -> bytes:
        assert isinstance(value.value, Sequence)
        items = b"".join(single(value.of, each) for each in value.value)
        return pack(order + "I", value.of) + pack(count, len(value.value)) + items

    def typed(value: object) -> bytes:
        if not isinstance(value, Typed):
            kind = STRING if isinstance(value, str) else BOOL if isinstance(value, bool) else U32
            value = Typed(kind, value)
        content = array(value) if value.kind == ARRAY else single(value.kind, value.value)
        return pack(order + "I", value.kind) + content

    parts = [b"FUGG" if big else b"GGUF", pack(order + "I", version)]
    parts += [pack(count, len(tensors) if counts[0] is None else counts[0])]
    parts += [pack(count, len(metadata) if counts[1] is None else counts[1])]
    parts += [text(key) + typed(value) for key, value in metadata.items()]
    offset = 0
    for tensor in tensors:
        at = offset if tensor.offset is None else tensor.offset
        shape = pack(f"{order}I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts += [text(tensor.name), shape, pack(order + "IQ", tensor.kind, at)]
        offset = at + tensor.size + -(at + tensor.size) % 32
    head = b"".join(parts)
    step = metadata.get("general.alignment", 32)
    head += bytes(-len(head) % step) if isinstance(step, int) and step > 0 else b""
    room = max((tensor.size + (tensor.offset or 0) for tensor in tensors), default=0) if len(tensors) == 1 else offset
    content = head + bytes(min(room, 1 << 20))
    return content[: len(content) - cut]


def model(**metadata: object) -> bytes:
    """A language model of nothing but zeros; more metadata by keyword, `__` for a dot."""
    return gguf(LLAMA | {key.replace("__", "."): value for key, value in metadata.items()}, WEIGHTS)


def projector() -> bytes:
    """What looks at pictures for a model."""
    metadata = {
        "general.architecture": "clip",
        "general.type": "projector",
        "general.file_type": 1,
        "clip.has_vision_encoder": True,
        "clip.vision.block_count": 1,
        "clip.projector_type": "mlp",
    }
    return gguf(metadata, [Tensor("v.patch_embd.weight"), Tensor("mm.0.weight")])


def adapter() -> bytes:
    """A LoRA for `model()`."""
    metadata = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": Typed(6, 16.0),
    }
    return gguf(
        metadata, [Tensor("blk.0.attn_q.weight.lora_a", (32, 4)), Tensor("blk.0.attn_q.weight.lora_b", (4, 32))]
    )


def pieces(count: int, name: str = "model") -> dict[str, bytes]:
    """One model in several files, under the names that they have to have."""
    made = {}
    for number in range(count):
        tensors = WEIGHTS[number::count] or (Tensor(f"blk.{number}.ffn_up.weight"),)
        split = {"split.no": Typed(U16, number), "split.count": Typed(U16, count), "split.tensors.count": Typed(5, 3)}
        metadata = (LLAMA if number == 0 else {"general.architecture": "llama"}) | split
        made[f"{name}-{number + 1:05}-of-{count:05}.gguf"] = gguf(metadata, tensors)
    return made


def safetensors(
    tensors: Mapping[str, tuple[int, ...]] | None = None, *, metadata: Mapping[str, str] | None = None
) -> bytes:
    """Tensors of these shapes at 16 bits, all zeros."""
    told: dict[str, object] = {"__metadata__": metadata} if metadata is not None else {}
    offset = 0
    for name, shape in (tensors or {"model.embed_tokens.weight": (8, 32), "model.norm.weight": (32,)}).items():
        size = 2
        for length in shape:
            size *= length
        told[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return described(json.dumps(told).encode(), bytes(offset))


def described(header: bytes, content: bytes = b"") -> bytes:
    """A safetensors file with this header, whatever it is."""
    return pack("<Q", len(header)) + header + content


def folder(at: Path, *, files: int = 1, kind: str = "LlamaForCausalLM") -> Path:
    """A safetensors folder with all that belongs to a model."""
    config = {"architectures": [kind], "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    contents = {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": b'{"model": {"vocab": {"a": 0}}}',
        "tokenizer.model": b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02",
        "chat_template.jinja": b"{{ messages[0].content }}",
        "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    }
    for number in range(files):
        name = "model.safetensors" if files == 1 else f"model-{number + 1:05}-of-{files:05}.safetensors"
        contents[name] = safetensors({f"model.layers.{number}.weight": (32, 32)})
    for name, content in contents.items():
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return at


def local(
    path: Path, content: bytes | None = None, *, key: str | None = None, sha256: Digest | None = None
) -> LocalFile:
    """The file as it was looked into, written first where there is a content for it."""
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with path.open("rb") as file:
        return look_into(file, key=key or path.name, path=str(path), shown=path.name, sha256=sha256)
