"""The fields of each request, as the versions read them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from fleet.simulate.binding import (
    Fields,
    Reader,
    anything,
    flag,
    items,
    keep_alive,
    message,
    options,
    raw,
    text,
    texts,
    think,
    whole,
)
from fleet.simulate.versions import Behaviour, Capability

_LEVELS = ("high", "medium", "low", "max")


@lru_cache(maxsize=64)
def fields(behaviour: Behaviour) -> Mapping[str, Fields]:
    """Request structs by endpoint."""
    named: dict[str, Reader] = {"model": text, "name": text}
    transfer = {**named, "insecure": flag, "username": text, "password": text, "stream": flag}
    running = {**_running(behaviour), "model": text}
    generate = {
        **running,
        **dict.fromkeys(("prompt", "suffix", "system", "template"), text),
        "context": items(whole, "[]int"),
        "raw": flag,
        "images": items(text, "[]api.ImageData"),
    }
    chat = {**running, "messages": items(message, "[]api.Message"), "tools": items(anything, "api.Tools")}
    embedding = {"model": text, "keep_alive": running["keep_alive"], "options": options}
    return {
        "create": Fields("CreateRequest", _create(behaviour)),
        "show": Fields("ShowRequest", {**named, "system": text, "template": text, "verbose": flag, "options": options}),
        "copy": Fields("CopyRequest", {"source": text, "destination": text}),
        "delete": Fields("DeleteRequest", named),
        "pull": Fields("PullRequest", transfer),
        "push": Fields("PushRequest", transfer),
        "generate": Fields("GenerateRequest", generate),
        "chat": Fields("ChatRequest", chat),
        "embed": Fields("EmbedRequest", {**embedding, "input": anything, "truncate": flag, "dimensions": whole}),
        "embeddings": Fields("EmbeddingRequest", {**embedding, "prompt": text}),
    }


def _create(behaviour: Behaviour) -> dict[str, Reader]:
    known: dict[str, Reader] = {"model": text, "stream": flag, "quantize": text, "name": text, "quantization": text}
    if behaviour.has(Capability.MODELFILE):
        return known | {"path": text, "modelfile": text}
    known |= {
        "from": text,
        "files": texts,
        "adapters": texts,
        "template": text,
        "license": anything,
        "system": text,
        "parameters": options,
        "messages": items(message, "[]api.Message"),
    }
    if behaviour.has(Capability.RENDERER):
        known |= {"renderer": text, "parser": text, "remote_host": text, "info": options}
    if behaviour.has(Capability.REQUIRES):
        known["requires"] = text
    if behaviour.has(Capability.DRAFT):
        known |= {"draft_quantize": text, "draft_files": texts}
    return known


def _running(behaviour: Behaviour) -> dict[str, Reader]:
    known: dict[str, Reader] = {
        "stream": flag,
        "format": raw if behaviour.has(Capability.FORMAT_ANY_JSON) else text,
        "keep_alive": keep_alive(whole_seconds=behaviour.has(Capability.WHOLE_SECONDS)),
        "options": options,
    }
    if behaviour.has(Capability.THINKING):
        levels = _LEVELS if behaviour.has(Capability.THINK_MAX) else _LEVELS[:-1]
        known["think"] = think(levels) if behaviour.has(Capability.THINK_LEVELS) else flag
    if behaviour.has(Capability.CONTEXT_SHIFT):
        known["shift"] = flag
    return known
