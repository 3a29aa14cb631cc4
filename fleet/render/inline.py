"""Foreign text within Markdown, made inert: nothing in it ends where it stands, and nobody is mentioned or linked by it.

A code span keeps all of that out: no markup, no HTML, no `@name`, no link is looked for in it (GitHub Flavored Markdown
0.29, sections 6.3 and 6.9; GitHub and GitLab leave mentions within code alone).
"""

from __future__ import annotations

import html
import re

from fleet.foreign import clean

_TICKS = re.compile("`+")
_PIPE = re.compile(r"(\\?)\|")


def code(text: object, limit: int = 400) -> str:
    """Any text as inline code that nothing in it can end. Within a table it has to be a `cell`."""
    cleaned = clean(str(text), limit=limit) or " "
    longest = max((len(ticks) for ticks in _TICKS.findall(cleaned)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{cleaned}{pad}{fence}"


def cell(text: object, limit: int = 400) -> str:
    r"""The same as it may stand in a table, which parts its cells before it looks for code.

    A pipe after a backslash is written as `\x7c`: whether `\\|` ends a cell is not the same everywhere.
    """
    return _PIPE.sub(lambda pipe: rf"{pipe[1]}\x7c" if pipe[1] else r"\|", code(text, limit))


def html_code(text: object, limit: int = 400) -> str:
    """The same within an HTML block, in which Markdown is not looked for."""
    return f"<code>{html.escape(clean(str(text), limit=limit))}</code>"


def prose(text: str) -> str:
    """Words of fleet itself, in which marks of Markdown stand for themselves. Not for foreign text: what looks like a
    mention or a link in it is one.
    """
    return re.sub(r"([\\`*_<>|#\[\]])", r"\\\1", clean(text, limit=1000))
