"""What is asked of a server: one frozen value for each request that has more than a name (`ollama-api.md` 7.1, 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Options = Mapping[str, Any]
"""Names and JSON values of options or parameters; `parameters.check` says whether a server could use them."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A create by fields (from 0.5.5 on). What is nothing or empty is not sent, and inherited from the base.

    Whether a server of a given version knows a field is for the caller to ask `versions.has`: older ones ignore it.
    """

    model: str
    base: str | None = None
    """Exactly as the host lists it (`ollama-api.md` 3.3)."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Names by `file_keys`, and `sha256:` digests of uploaded blobs. Without a `base` they are what it is made of."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    draft_files: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    system: str | None = None
    license: Sequence[str] = ()
    parameters: Options = field(default_factory=dict)
    messages: Sequence[Mapping[str, Any]] = ()
    quantize: str | None = None
    draft_quantize: str | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None

    def body(self) -> dict[str, Any]:
        return _given(
            {
                "model": self.model,
                "from": self.base,
                "files": dict(self.files),
                "adapters": dict(self.adapters),
                "draft_files": dict(self.draft_files),
                "template": self.template,
                "system": self.system,
                "license": list(self.license),
                "parameters": dict(self.parameters),
                "messages": [dict(message) for message in self.messages],
                "quantize": self.quantize,
                "draft_quantize": self.draft_quantize,
                "renderer": self.renderer,
                "parser": self.parser,
                "requires": self.requires,
            }
        )


@dataclass(frozen=True, slots=True)
class OldCreateRequest:
    """A create by a Modelfile (up to 0.5.4)."""

    model: str
    modelfile: str
    quantize: str | None = None

    def body(self) -> dict[str, Any]:
        return _given({"model": self.model, "modelfile": self.modelfile, "quantize": self.quantize})


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A completion. `keep_alive` is seconds, negative for ever, nothing to leave it as it is."""

    model: str
    prompt: str = ""
    suffix: str | None = None
    images: Sequence[str] = ()
    """Base64."""
    format: str | Mapping[str, Any] | None = None
    """`json` or a JSON schema."""
    options: Options = field(default_factory=dict)
    system: str | None = None
    template: str | None = None
    raw: bool = False
    think: bool | str | None = None
    context: Sequence[int] = ()
    keep_alive: float | None = None

    def body(self) -> dict[str, Any]:
        return _given(
            {
                "model": self.model,
                "prompt": self.prompt or None,
                "suffix": self.suffix,
                "images": list(self.images),
                "format": dict(self.format) if isinstance(self.format, Mapping) else self.format,
                "options": dict(self.options),
                "system": self.system,
                "template": self.template,
                "raw": self.raw or None,
                "think": self.think,
                "context": list(self.context),
                "keep_alive": _seconds(self.keep_alive),
            }
        )


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A turn of a conversation. Messages and tools are in the API's own form."""

    model: str
    messages: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    format: str | Mapping[str, Any] | None = None
    options: Options = field(default_factory=dict)
    think: bool | str | None = None
    keep_alive: float | None = None

    def body(self) -> dict[str, Any]:
        return _given(
            {
                "model": self.model,
                "messages": [dict(message) for message in self.messages],
                "tools": [dict(tool) for tool in self.tools],
                "format": dict(self.format) if isinstance(self.format, Mapping) else self.format,
                "options": dict(self.options),
                "think": self.think,
                "keep_alive": _seconds(self.keep_alive),
            }
        )


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Vectors of texts; without input the model is only loaded."""

    model: str
    input: str | Sequence[str] = ()
    truncate: bool | None = None
    dimensions: int | None = None
    options: Options = field(default_factory=dict)
    keep_alive: float | None = None

    def body(self) -> dict[str, Any]:
        return _given(
            {
                "model": self.model,
                "input": self.input if isinstance(self.input, str) else list(self.input),
                "truncate": self.truncate,
                "dimensions": self.dimensions,
                "options": dict(self.options),
                "keep_alive": _seconds(self.keep_alive),
            }
        )


def _given(body: dict[str, Any]) -> dict[str, Any]:
    """Only what is said: servers take an absent key and an empty value for the same, people reading a trace do not."""
    return {key: value for key, value in body.items() if value is not None and value not in ({}, [])}


def _seconds(keep_alive: float | None) -> float | int | None:
    """Whole numbers as such: servers up to 0.11.7 cut fractions, so 0.5 would unload at once there."""
    return int(keep_alive) if keep_alive is not None and keep_alive == int(keep_alive) else keep_alive
