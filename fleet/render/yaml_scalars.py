"""Texts as YAML that every reader takes for exactly these texts: plain where nothing else could be meant, as a block
where there are lines, else between quotes.

Written by hand, since PyYAML's emitter writes no comments and knows no way to choose a block by the text.
"""

from __future__ import annotations

import re

# It begins with a letter, so it is no number, date or sign; a colon in it is followed by something.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*\Z")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
# What ends lines for some readers of YAML, and blanks that some would not keep.
_NO_BLOCK = re.compile(
    r"[^\n\t\x20-\x7e\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|^[ \t]+$", re.MULTILINE
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def scalar(text: str, indent: int) -> str:
    """The text as a value behind `key: ` or `- `; `indent` is the column of the map or list that holds it.

    Of several lines for a block, none ending with a newline.
    """
    if "\n" in text.strip("\n") and not _NO_BLOCK.search(text):
        return _block(text, " " * (indent + 2))
    return one_line(text)


def one_line(text: str) -> str:
    """The text in one line, also as a key."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(_ESCAPES.get(letter) or shown(letter) for letter in text) + '"'


def _block(text: str, margin: str) -> str:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    keep = "-" if ends == 0 else "" if ends == 1 else "+"
    # Without a number, the first line would tell how deep all of them are.
    deep = "2" if text[0] in " \t\n" else ""
    lines = [f"{margin}{line}" if line else "" for line in body.split("\n")]
    return "\n".join([f"|{deep}{keep}", *lines, *[""] * max(0, ends - 1)])


def shown(letter: str) -> str:
    """A letter as it may stand in a file, or its escape."""
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
