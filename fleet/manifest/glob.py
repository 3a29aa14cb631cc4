"""Globs of `*` and `?`, matched in time proportional to the text whatever the pattern."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def compiled(pattern: str, *, fence: str = "") -> re.Pattern[str]:
    """The glob as a regular expression for `match`, ignoring case; `*` and `?` never stand for a letter of `fence`.

    Each piece between stars is taken where it first fits and never moved again, so nothing is tried twice.
    """
    letter = f"[^{re.escape(fence)}]" if fence else "."
    first, *others = [
        "".join(letter if one == "?" else re.escape(one) for one in piece) for piece in re.split(r"\*+", pattern)
    ]
    text = first
    for piece in others[:-1]:
        text += f"(?>{letter}*?{piece})"
    if others:
        text += f"{letter}*{others[-1]}"
    return re.compile(rf"(?s:{text})\Z", re.IGNORECASE)


def is_glob(text: str) -> bool:
    return "*" in text or "?" in text
