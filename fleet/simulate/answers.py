"""What simulated models say: fixed, marked texts and vectors that follow from the input, or what a scenario wants them
to say. No inference is done.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict

from fleet.simulate.faults import matches
from fleet.simulate.gotext import Float32, json_text
from fleet.simulate.units import Seconds

PIECES = ("[simulated]", " OK", ",", " this", " host", " does", " not", " think", ".")
"""The answer to everything, a token each."""
_PIECE = re.compile(r"\s*\S+|\s+\Z")
_DEFAULT_WIDTH = 8


class Answer(BaseModel):
    """What a scenario lets models say. Both globs are over whole texts; case is ignored, `*` goes over lines too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    says: str
    prompt: str = "*"
    """Of generate the prompt, of chat the last message."""
    model: str = "*"
    takes: Seconds = 0.0
    """How long it thinks before it says the first word."""

    def fits(self, model: str, prompt: str) -> bool:
        return matches(self.model, model) and fnmatchcase(prompt.lower(), self.prompt.lower())


def answer(options: Mapping[str, Any], form: bytes, *, terse: bool, says: str | None = None) -> tuple[list[str], str]:
    """The pieces of an answer and why it ends: `stop`, or `length` where `num_predict` cuts it.

    `form` is the request's format as JSON. `terse` ends at the first word. `says` is what is to be said in any form.
    """
    if says is not None:
        pieces: Sequence[str] = _PIECE.findall(says)
    elif form not in {b"", b'""', b"null"}:
        pieces = _PIECE.findall(_formed(form))
    else:
        pieces = PIECES[:1] if terse else PIECES
    limit = options.get("num_predict", -1)
    if isinstance(limit, int) and 0 <= limit < len(pieces):
        return list(pieces[:limit]), "length"
    return list(pieces), "stop"


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
