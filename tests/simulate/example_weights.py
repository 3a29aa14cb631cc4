"""The small weights of `examples/manifests/modelfiles`: true GGUFs of a few KB, all zeros, that fit the model there.

python -m tests.simulate.example_weights        writes them anew
"""

from __future__ import annotations

from pathlib import Path

from fleet.simulate import gguf
from fleet.simulate.gguf import Kind, Tensor, Value

FOLDER = Path(__file__).parents[2] / "examples/manifests/modelfiles/weights"
_WIDTH, _RANK = 64, 4
_F32, _F16 = 0, 1


def style() -> bytes:
    """A LoRA over the queries of both layers; of zeros, so it changes nothing."""
    metadata = {
        "general.architecture": gguf.text("llama"),
        "general.type": gguf.text("adapter"),
        "general.name": gguf.text("style"),
        "adapter.type": gguf.text("lora"),
        "adapter.lora.alpha": Value(Kind.FLOAT32, 8.0),
    }
    sides = [("lora_a", (_WIDTH, _RANK)), ("lora_b", (_RANK, _WIDTH))]
    tensors = [Tensor(f"blk.{layer}.attn_q.weight.{side}", shape, _F32) for layer in range(2) for side, shape in sides]
    return _file(metadata, tensors)


def eyes() -> bytes:
    """An encoder of pictures as wide as the model."""
    metadata = {
        "general.architecture": gguf.text("clip"),
        "general.type": gguf.text("mmproj"),
        "general.name": gguf.text("eyes"),
        "general.file_type": gguf.uint(1),
        "clip.has_vision_encoder": Value(Kind.BOOL, True),
        "clip.projector_type": gguf.text("mlp"),
        "clip.vision.image_size": gguf.uint(16),
        "clip.vision.patch_size": gguf.uint(8),
        "clip.vision.embedding_length": gguf.uint(16),
        "clip.vision.feed_forward_length": gguf.uint(32),
        "clip.vision.projection_dim": gguf.uint(_WIDTH),
        "clip.vision.block_count": gguf.uint(1),
        "clip.vision.attention.head_count": gguf.uint(2),
    }
    tensors = [
        Tensor("v.patch_embd.weight", (8, 8, 3, 16), _F16),
        Tensor("v.blk.0.attn_q.weight", (16, 16), _F16),
        Tensor("mm.0.weight", (16, _WIDTH), _F16),
    ]
    return _file(metadata, tensors)


MADE = {"style.gguf": style, "eyes.gguf": eyes}


def _file(metadata: dict[str, Value], tensors: list[Tensor]) -> bytes:
    placed = gguf.laid_out(tensors)
    head = gguf.write(metadata, placed)
    return head.ljust(gguf.read(head).end, b"\0")


def written() -> None:
    for name, made in MADE.items():
        (FOLDER / name).write_bytes(made())


if __name__ == "__main__":
    written()
