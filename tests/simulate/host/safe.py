"""Small safetensors for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping


def safetensors(types: Mapping[str, str] | None = None, /, **shapes: list[int]) -> bytes:
    """Announces tensors of these shapes, F16 but for other `types`; their numbers are not there, and nobody misses them."""
    announced: dict[str, object] = {
        name: {"dtype": (types or {}).get(name, "F16"), "shape": shape} for name, shape in shapes.items()
    }
    head = json.dumps(announced | {"__metadata__": {}}).encode()
    return len(head).to_bytes(8, "little") + head
