"""Writes lines of Modelfiles for tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def written(word: str, value: str) -> str:
    """An instruction with its value, in the spelling that can carry it."""
    if word.upper() in {"PARAMETER", "MESSAGE"} or (value and value == value.strip() and not {'"', "\n"} & set(value)):
        return f"{word} {value}"
    return f'{word} """{value}"""'


def modelfile(create: dict[str, Any]) -> str:
    """A Modelfile that says what these fields of `create` say."""
    return "\n".join(_lines(create)) + "\n"


def _lines(create: dict[str, Any]) -> Iterator[str]:
    for key in ("from", "system", "template", "renderer", "parser", "requires"):
        if key in create:
            yield written(key.upper(), create[key])
    licenses = create.get("license", [])
    for text in [licenses] if isinstance(licenses, str) else licenses:
        yield written("LICENSE", text)
    for message in create.get("messages", []):
        yield written(f"MESSAGE {message['role']}", message["content"])
    for name, value in create.get("parameters", {}).items():
        for one in value if isinstance(value, list) else [value]:
            yield written(f"PARAMETER {name}", str(one).lower() if isinstance(one, bool) else str(one))
