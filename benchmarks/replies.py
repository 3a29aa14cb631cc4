"""What the canned servers say, in the form of Ollama 0.32.15 (`tests/recordings`): 40 models, one of them in memory."""

from __future__ import annotations

import json

MODELS = 40
NAMES = tuple(f"{family}:{size}b" for family in ("llama3.1", "qwen3", "gemma3", "phi4") for size in range(1, 11))
"""The models that every host lists, in the spelling of the server."""


def replies() -> dict[bytes, bytes]:
    """Whole replies by path, head included."""
    listed = [_model(number, name) for number, name in enumerate(NAMES)]
    running = {key: listed[0][key] for key in ("name", "model", "size", "digest", "details")} | {
        "expires_at": "2318-03-05T11:40:59.728928259Z",
        "size_vram": 5_000_000_000,
        "context_length": 8192,
    }
    return {
        b"/api/version": _reply({"version": "0.32.15"}),
        b"/api/tags": _reply({"models": listed}),
        b"/api/ps": _reply({"models": [running]}),
    }


def digest(number: int) -> str:
    """The content of the model of that number, bare as servers list it."""
    return f"{number:064x}"


def _model(number: int, name: str) -> dict[str, object]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-11-23T11:30:57.857702769Z",
        "size": 4_920_753_328 + number,
        "digest": digest(number),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "8.0B",
            "quantization_level": "Q4_K_M",
            "context_length": 131072,
            "embedding_length": 4096,
        },
        "capabilities": ["completion", "tools"],
    }


def _reply(content: object) -> bytes:
    """As Go's server sends it: what is larger than its buffer of 2 KiB goes out as one chunk, without a length."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nDate: Mon, 23 Nov 2026 11:30:59 GMT\r\n"
    )
    if len(body) <= 2048:
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
