"""Changes of fields. Sensitive texts stand as hash and size, unless their content is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import unified_diff

from fleet.foreign import clean
from fleet.reconcile.difference import Change
from fleet.reconcile.saved import summary

_LINE = 400
"""Characters of one shown line."""


def change_lines(changes: Iterable[Change], *, show_content: bool = False) -> Iterator[str]:
    """`field: old → new`, a line each; with content, a line for each line that differs."""
    for change in changes:
        field = clean(change.field, limit=100)
        if change.sensitive and show_content:
            yield f"{field}:"
            yield from _compared(change)
        else:
            yield f"{field}: {_shown(change.old, change)} → {_shown(change.new, change)}"


def _shown(text: str | None, change: Change) -> str:
    if text is None or (text == "" and change.sensitive):
        return "nothing"
    return summary(text) or "nothing" if change.sensitive else clean(text, limit=_LINE) or '""'


def _compared(change: Change) -> Iterator[str]:
    """Changed lines with two of context; a missing end of line is no difference worth a word here."""
    old, new = (change.old or "").splitlines(), (change.new or "").splitlines()
    for number, line in enumerate(unified_diff(old, new, n=2, lineterm="")):
        if number >= 2:  # the first two name files
            yield f"  {line[:1]}{clean(line[1:], limit=_LINE)}"
