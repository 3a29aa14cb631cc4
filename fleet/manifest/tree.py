"""The tree of a YAML document: every node keeps its place, every scalar stays the text that was written.

What a scalar means is decided by the shape that reads it, so `3.10`, `no` and `22:30` are never numbers by accident.
"""

from __future__ import annotations

from typing import Protocol

from fleet.manifest.inventory import Place

_NULLS = frozenset(["", "~", "null", "Null", "NULL"])


class Mark(Protocol):
    """Where the parser was; line and column from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class Scalar:
    """A text, and how it was written: `style` is empty or nothing for a plain one."""

    __slots__ = ("mark", "style", "text")

    def __init__(self, text: str, style: str | None, mark: Mark) -> None:
        self.text = text
        self.style = style
        self.mark = mark

    @property
    def null(self) -> bool:
        """Whether nothing was written: empty, `~` or `null`, without quotes."""
        return not self.style and self.text in _NULLS


class Sequence:
    __slots__ = ("items", "mark")

    def __init__(self, mark: Mark) -> None:
        self.items: list[Node] = []
        self.mark = mark


class Mapping:
    """`entries` by key: the place of the key, and the value."""

    __slots__ = ("entries", "mark")

    def __init__(self, mark: Mark) -> None:
        self.entries: dict[str, tuple[Mark, Node]] = {}
        self.mark = mark


Node = Scalar | Sequence | Mapping


def place_of(file: str, mark: Mark) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)
