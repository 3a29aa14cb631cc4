"""A comment on a merge request, section by section, within the length that services take.

What is too long is cut in whole rows, and the end says how much of what was left out; never is a table or a fold cut open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.render.words import counted

LIMIT = 60_000
"""Characters in all. GitHub takes 65,536 in a comment, and whoever posts it may have words of their own."""

_NOTE = 2_000
"""Kept for the note on what was left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One or more lines that stay together, and how many things they tell of."""

    text: str
    counts: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """Rows between a head and a foot, with what one row is called, as in `3 more deletes`."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    foot: tuple[str, ...] = ()
    one: str = "line"
    many: str = "lines"
    share: float = 1.0
    """Of what is still free, how much it may take: what comes later must not be lost to what came first."""


def marker(kind: str, name: str) -> str:
    """A line that nobody sees, the same for each comment of this kind about this fleet, so that a bot finds its former
    comment and replaces it.
    """
    of = f" of {re.sub('[^A-Za-z0-9._]+', '-', name)[:200]}" if name else ""
    return f"<!-- ollama-fleet: {kind}{of} -->"


def comment(marked: str, headline: str, sections: Iterable[Section], *, more: str) -> str:
    """The whole, ending with a newline. `more` tells where all of it can be read."""
    lines = [marked, f"### {headline}", ""]
    free = LIMIT - _NOTE - _length(lines)
    left_out: Counter[tuple[str, str]] = Counter()
    for section in sections:
        kept, missing = _fitting(section, free)
        if missing:
            left_out[section.one, section.many] += missing
        if kept:
            lines += [*kept, ""]
            free -= _length(kept) + 1
    if left_out:
        told = ", ".join(counted(number, one, many) for (one, many), number in left_out.items())
        lines += [f"**Left out, since a comment holds no more:** {told}. {more}"]
    return "\n".join(lines).rstrip("\n") + "\n"


def _fitting(section: Section, free: int) -> tuple[list[str], int]:
    """The lines that fit, none where not even one row does, and how many things are missing."""
    room = int(free * section.share) - _length(section.head) - _length(section.foot) - 1
    number = 0
    for row in section.rows:
        room -= len(row.text) + 1
        if room < 0:
            break
        number += 1
    missing = sum(row.counts for row in section.rows[number:])
    if not number:
        return [], missing
    return [*section.head, *(row.text for row in section.rows[:number]), *section.foot], missing


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)
