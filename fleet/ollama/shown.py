"""What a show reply proves of a model: blob digests, texts, parameters (`ollama-api.md` 5.3 to 5.5).

Pure. The shown Modelfile has no escapes, so its blocks are ambiguous by themselves; where the reply tells the same
text elsewhere, that settles it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.names import Digest
from fleet.ollama.blocks import read_blocks
from fleet.ollama.quantize import level
from fleet.ollama.wire import Show, ShownMessage

Shown = str | int | float | bool | None
"""One value of a parameter: `None` for a JSON null. What is of an unexpected type is its Go text."""

_BLOB = re.compile(r"sha256[-:]([0-9a-f]{64})\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}\Z")
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,4})?|Inf)\Z")
_KEY_WIDTH = 30


@dataclass(frozen=True, slots=True)
class ShownModel:
    """One model as its host shows it. Texts are nothing where the model has none."""

    from_digests: tuple[Digest, ...]
    """Weights, then projectors, in order. Empty for models that the server keeps in another form."""
    adapter_digests: tuple[Digest, ...]
    draft_digests: tuple[Digest, ...]
    template: str
    """As the server reports it; from 0.30.0 on possibly the file's own, see `template_block`."""
    template_block: str | None
    """The TEMPLATE instruction of the Modelfile."""
    system: str | None
    renderer: str | None
    parser: str | None
    parameters: Mapping[str, tuple[Shown, ...]]
    """By name, in order within a name; a list has one entry for each element."""
    licenses: tuple[str, ...]
    messages: tuple[ShownMessage, ...]
    requires: str | None
    context_length: int | None
    """What the model was made for; runners may have less."""
    parent_model: str
    quantization: str
    """In the spelling of `quantize.level`: empty where the server cannot tell it."""
    capabilities: tuple[str, ...] | None

    @property
    def weights(self) -> frozenset[Digest]:
        """All blobs that FROM and ADAPTER name: what the model computes with."""
        return frozenset(self.from_digests + self.adapter_digests)


def read(show: Show) -> ShownModel:
    """Everything that the reply tells, in one value. Never fails: what cannot be read is not there."""
    blocks = read_blocks(show)
    return ShownModel(
        from_digests=_digests(blocks, "FROM"),
        adapter_digests=_digests(blocks, "ADAPTER"),
        draft_digests=_digests(blocks, "DRAFT"),
        template=show.template,
        template_block=_last(blocks, "TEMPLATE"),
        system=show.system or None,
        renderer=_last(blocks, "RENDERER"),
        parser=_last(blocks, "PARSER"),
        parameters=parameters(show.parameters),
        licenses=tuple(value for name, value in blocks if name == "LICENSE"),
        messages=show.messages,
        requires=show.requires or None,
        context_length=context_length(show),
        parent_model=show.details.parent_model,
        quantization=level(show.details.quantization_level),
        capabilities=show.capabilities,
    )


def weights(show: Show) -> frozenset[Digest]:
    """The blobs of FROM and ADAPTER."""
    return read(show).weights


def context_length(show: Show) -> int | None:
    """`<architecture>.context_length` of the weights' metadata, where it is told and a number."""
    architecture = show.model_info.get("general.architecture")
    length = show.model_info.get(f"{architecture}.context_length")
    return length if isinstance(length, int) and not isinstance(length, bool) else None


def parameters(text: str) -> dict[str, tuple[Shown, ...]]:
    """Reads the `parameters` text: one line a value, the name padded to 30, the value in Go's syntax."""
    found: dict[str, list[Shown]] = {}
    for line in text.split("\n"):
        # The name is padded, so its end is the first blank from column 30 on, however long it is.
        end = line.find(" ", _KEY_WIDTH)
        name, value = (line[:end].rstrip(" "), line[end + 1 :]) if end > 0 else ("", "")
        if name:
            found.setdefault(name, []).append(go_value(value))
    return {name: tuple(values) for name, values in found.items()}


def go_value(text: str) -> Shown:
    """A value as Go's `%#v` writes it. Anything but strings, numbers, booleans and nil is left as it is."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _go_string(text[1:-1])
    if text in {"true", "false"}:
        return text == "true"
    if text == "<nil>":
        return None
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) or text == "NaN" else text


_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _go_string(text: str) -> str:
    def unescape(match: re.Match[str]) -> str:
        byte, short, long, octal, named = match.groups()
        if byte or octal:
            # A byte, not a character; surrogate escapes carry it until the whole is decoded.
            number = int(byte, 16) if byte else int(octal, 8) & 0xFF
            return bytes([number]).decode(errors="surrogateescape")
        if short or long:
            number = int(short or long, 16)
            return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
        return _NAMED.get(named, named)

    text = text.encode(errors="replace").decode()
    return _ESCAPE.sub(unescape, text).encode(errors="surrogateescape").decode(errors="replace")


def _digests(blocks: list[tuple[str, str]], instruction: str) -> tuple[Digest, ...]:
    matches = (_BLOB.search(value) for name, value in blocks if name == instruction)
    return tuple(Digest(match[1]) for match in matches if match)


def _last(blocks: list[tuple[str, str]], instruction: str) -> str | None:
    return next((value for name, value in reversed(blocks) if name == instruction), None)
