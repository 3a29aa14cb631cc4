"""How JSON documents are written; `docs/output.md` is their reference."""

from __future__ import annotations

import json
from typing import Any

from fleet.errors import FleetError
from fleet.foreign import clean

FORMAT = 1
"""Of all documents and lines; counts changes that break a reader."""

_TEXT = 1000
"""Characters of a message at most."""


def written(document: dict[str, Any]) -> str:
    """A document for stdout, ending with a newline. Everything beyond ASCII is escaped, so no terminal can act on it."""
    return json.dumps(document, indent=2) + "\n"


def in_one_line(document: dict[str, Any]) -> str:
    """A document as one of JSON lines, ending with a newline."""
    return json.dumps(document, separators=(",", ":")) + "\n"


def cleaned(text: str | None) -> str | None:
    """A message that may hold a server's words."""
    return None if text is None else clean(text, limit=_TEXT)


def cleaned_lines(text: str, limit: int = _TEXT) -> list[str]:
    """A message of several lines, each clean; their indentation stays."""
    lines = text.split("\n")
    return [line[: len(line) - len(line.lstrip(" "))] + clean(line, limit=limit) for line in lines]


def error_document(error: FleetError) -> dict[str, Any]:
    """Why there is neither plan nor report."""
    return {
        "type": "error",
        "format": FORMAT,
        "code": error.code.id,
        "message": "\n".join(cleaned_lines(str(error))),
        "hint": cleaned(error.hint),
        "exit_code": int(error.exit_code),
    }
