"""Create from safetensors (`ollama-api.md` 7.5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulate.host.talking import Talk


def safetensors(**shapes: list[int]) -> bytes:
    head = json.dumps({name: {"dtype": "F16", "shape": shape} for name, shape in shapes.items()} | {"__metadata__": {}})
    return len(head).to_bytes(8, "little") + head.encode()


def converted(here: Talk, body: bytes, settings: dict[str, Any] | bytes | None, **more: Any) -> list[str]:
    files = {"model.safetensors": here.upload(body)}
    if settings is not None:
        files["config.json"] = here.upload(settings if isinstance(settings, bytes) else json.dumps(settings).encode())
    return here.create("m", files=files, **more).said


def test_safetensors_are_converted(host: Callable[..., Talk]) -> None:
    here = host("0.24.0")
    settings = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "max_position_embeddings": 4096}
    said = converted(here, safetensors(**{"model.embed_tokens.weight": [32, 64], "model.norm.weight": [64]}), settings)
    assert (said[0], said[-1]) == ("converting model", "success")
    shown = here.show("m")
    assert (shown["details"]["family"], shown["details"]["quantization_level"]) == ("llama", "F16")
    assert shown["model_info"]["llama.context_length"] == 4096
    assert {tuple(tensor["shape"]) for tensor in shown["tensors"]} == {(64, 32), (64,)}


@pytest.mark.parametrize(
    ("body", "settings", "error"),
    [
        (safetensors(), None, "! open config.json: no such file or directory"),
        (safetensors(), {}, "! unknown architecture"),
        (safetensors(), {"architectures": ["Nope"]}, '! unsupported architecture "Nope"'),
        (safetensors(), b"{", "! unexpected end of JSON input"),
        (b"short", {"architectures": ["BertModel"]}, "! unexpected EOF"),
        (b"\1\0\0\0\0\0\0\0[", {"architectures": ["BertModel"]}, "! unexpected end of JSON input"),
    ],
)
def test_safetensors_that_cannot_be_converted(
    host: Callable[..., Talk], body: bytes, settings: dict[str, Any] | bytes | None, error: str
) -> None:
    assert converted(host(), body, settings)[-1] == error


def test_safetensors_of_an_adapter(based: Callable[..., Talk]) -> None:
    here = based()
    files = {"a.safetensors": here.upload(safetensors(w=[8, 64])), "adapter_config.json": here.upload(b"{}")}
    assert here.create("own", from_="base", adapters=files).said[:2] == [
        "converting adapter",
        here.create("own2", from_="base").said[0],
    ]
    assert "adapter" in here.layers("own:latest")


def test_paths_of_safetensors_stay_inside(host: Callable[..., Talk]) -> None:
    here = host("0.5.12")
    files = {"../m.safetensors": here.upload(safetensors())}
    assert here.create("m", files=files).error == "file path must be relative: ../m.safetensors"
