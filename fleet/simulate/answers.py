"""What simulated models say: fixed, marked texts and vectors that follow from the input. No inference is done."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from fleet.simulate.gotext import Float32, json_text

PIECES = ("[simulated]", " OK", ",", " this", " host", " does", " not", " think", ".")
"""The answer to everything, a token each."""
_DEFAULT_WIDTH = 8


def answer(options: Mapping[str, Any], form: bytes, *, terse: bool) -> tuple[list[str], str]:
    """The pieces of an answer and why it ends: `stop`, or `length` where `num_predict` cuts it.

    `form` is the request's format as JSON. `terse` ends at the first word.
    """
    if form not in {b"", b'""', b"null"}:
        return [_formed(form)], "stop"
    limit = options.get("num_predict", -1)
    if terse:
        return [PIECES[0]], "stop"
    if isinstance(limit, int) and 0 <= limit < len(PIECES):
        return list(PIECES[:limit]), "length"
    return list(PIECES), "stop"


def _formed(form: bytes) -> str:

    try:
        schema = json.loads(form)
    except ValueError:
        schema = None
    value = instance(schema) if isinstance(schema, dict) else {"simulated": True}
    return json_text(value).decode()


def instance(schema: Any) -> Any:
    """A value that fits a simple JSON Schema."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties")
        return {key: instance(part) for key, part in properties.items()} if isinstance(properties, dict) else {}
    plain: dict[Any, Any] = {"array": [], "string": PIECES[0], "integer": 0, "number": 0, "boolean": True}
    return plain.get(kind if isinstance(kind, str) else "")


def tokens(text: str) -> list[int]:
    """Numbers for the words of a text: equal words, equal numbers."""
    return [int.from_bytes(hashlib.sha256(word.encode()).digest()[:2], "little") for word in text.split()]


def vector(text: str, width: int) -> list[float]:
    """A vector of length one that follows from the text."""
    width = width or _DEFAULT_WIDTH
    numbers: list[float] = []
    block = text.encode("utf-8", "replace")
    while len(numbers) < width:
        block = hashlib.sha256(block).digest()
        numbers += [byte / 127.5 - 1 for byte in block]
    numbers = numbers[:width]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def as_float32(numbers: list[float]) -> list[Float32]:
    return [Float32(number) for number in numbers]
