"""The table of codes for people: one code, all of them, and the page `docs/errors.md`."""

from __future__ import annotations

from typing import Any

from fleet.codes import Code
from fleet.render.writing import FORMAT

_GROUPS = {
    1: "Reaching a host",
    2: "Acting on a host",
    3: "Items that a host cannot have",
    4: "What people wrote",
    5: "Guards",
    6: "This machine",
}
_RETRY = {
    "later": "waiting may help; the next run tries again",
    "never": "waiting does not help",
    "observe": "only a new look at the host tells; the next run takes it",
}


def code_text(code: Code) -> str:
    return f"{code.id}: {code.title}\n\ncause: {code.cause}\ncure: {code.cure}\ntrying again: {_RETRY[code.retry]}\n"


def list_text() -> str:
    return "".join(f"{code.id}  {code.title}\n" for code in Code) + "\n`fleet explain CODE` tells cause and cure\n"


def code_document(code: Code) -> dict[str, Any]:
    return {"type": "code", "format": FORMAT, **_part(code)}


def list_document() -> dict[str, Any]:
    return {"type": "codes", "format": FORMAT, "codes": [_part(code) for code in Code]}


def codes_page() -> str:
    """`docs/errors.md`, a test compares."""
    lines = [
        "# Error codes",
        "",
        "Every failure that fleet reports has a code that keeps its number and its meaning for ever. `fleet explain CODE`",
        "shows one entry of this page, which is made from the table in `fleet/codes.py`.",
    ]
    group = 0
    for code in Code:
        if code.value.number // 100 != group:
            group = code.value.number // 100
            lines += ["", f"## {group}xx: {_GROUPS[group]}"]
        lines += [
            "",
            f"### {code.id}: {code.title}",
            "",
            f"- Cause: {code.cause}",
            f"- Cure: {code.cure}",
            f"- Trying again: {_RETRY[code.retry]}.",
        ]
    return "\n".join(lines) + "\n"


def _part(code: Code) -> dict[str, str]:
    return {"code": code.id, "title": code.title, "cause": code.cause, "cure": code.cure, "retry": code.retry}
