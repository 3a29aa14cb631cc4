"""Builds trees from the events of the YAML parser.

Depth and number are limited while events arrive, because the C parser crashes on deep nesting when it builds by itself
(`reliability.md` A.5). Duplicate keys, tags, merge keys and recursive aliases are faults.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from fleet.manifest.faults import Faults, quoted
from fleet.manifest.tree import Mapping, Mark, Node, Scalar, Sequence, place_of

DEEPEST = 64
MOST_NODES = 250_000
"""Per file, with aliases counted as if written out."""

HARMLESS = b"\t\n\r" + bytes(range(0x20, 0x7F))
"""Bytes that need no second look."""
# What YAML would take in a text or as an escape, and nobody should see in a terminal.
_SUSPECT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Unreadable(Exception):
    """A fault after which the rest of the file cannot be read."""

    def __init__(self, mark: Mark, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.mark = mark
        self.hint = hint


class Builder:
    """Builds the trees of one file; `content` is its text in UTF-8, `file` its name in places."""

    def __init__(self, content: bytes, file: str, faults: Faults) -> None:
        self.file = file
        self.faults = faults
        # Whether these can occur at all: most files are spared the question at each event.
        self.marked = b"!" in content or b"&" in content or b"*" in content
        self.suspect = b"\\" in content or b"<<" in content or bool(content.translate(None, HARMLESS))
        self.anchors: dict[str, Node] = {}
        self.extents: dict[int, tuple[int, int]] = {}
        self.repeated = 0

    def build(self, get_event: Callable[[], Any]) -> list[Node]:
        """The documents. One loop with local names, because half of the time of reading is spent in it."""
        marked = self.marked
        found: list[Node] = []
        stack: list[tuple[list[Node] | None, dict[str, tuple[Mark, Node]], Node | None]] = []
        # Where the next node goes: the list `items`, or where that is nothing `entries`, under `key` if it came.
        items: list[Node] | None = found
        entries: dict[str, tuple[Mark, Node]] = {}
        key: str | None = None
        key_mark: Mark | None = None
        inside: Node | None = None
        new: Node
        kind: type = StreamEndEvent
        for event in islice(iter(get_event, None), MOST_NODES):
            kind = event.__class__
            if kind is ScalarEvent:
                if items is None and key is None:
                    key = event.value
                    key_mark = event.start_mark
                    if marked:
                        self._note(event, Scalar(event.value, event.style, event.start_mark))
                    if key in entries:
                        self._twice(event, entries)
                    continue
                new = Scalar(event.value, event.style, event.start_mark)
                if marked:
                    self._note(event, new)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                mark = event.start_mark
                if items is None and key is None:
                    raise Unreadable(mark, "a key must be a text")
                new = Mapping(mark) if kind is MappingStartEvent else Sequence(mark)
                if marked:
                    self._note(event, new)
                if items is None:
                    entries[key] = (key_mark, new)  # type: ignore[index, assignment] # asked above
                else:
                    items.append(new)
                stack.append((items, entries, inside))
                if len(stack) > DEEPEST:
                    raise Unreadable(mark, f"nested deeper than {DEEPEST} levels")
                inside = new
                key = None
                if new.__class__ is Mapping:
                    items, entries = None, new.entries
                else:
                    items = new.items  # type: ignore[union-attr] # the other of two
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                items, entries, inside = stack.pop()
                continue
            elif kind is AliasEvent:
                if items is None and key is None:
                    raise Unreadable(event.start_mark, "a key must be a text")
                opened = [inside, *(frame[2] for frame in stack)]
                new = self._alias(event, opened, len(stack))
            elif kind is DocumentEndEvent:
                self.anchors.clear()
                continue
            else:
                continue
            if items is None:
                entries[key] = (key_mark, new)  # type: ignore[index, assignment] # a value comes after its key
                key = None
            else:
                items.append(new)
        if kind is not StreamEndEvent:
            raise Unreadable(event.start_mark, f"more than {MOST_NODES:,} nodes in one file")
        if self.suspect:
            self._inspect(found)
        return found

    def _twice(self, event: Any, entries: dict[str, tuple[Mark, Node]]) -> None:
        first = entries[event.value][0].line + 1
        self.faults.add(
            place_of(self.file, event.start_mark), "", f"the key {quoted(event.value)} stands on line {first} already"
        )

    def _note(self, event: Any, node: Node) -> None:
        if event.tag is not None:
            self.faults.add(
                place_of(self.file, event.start_mark),
                "",
                f"a tag ({quoted(event.tag)}); tags are not read",
                "put a text that begins with `!` between quotes",
            )
        if event.anchor is not None:
            self.anchors[event.anchor] = node

    def _alias(self, event: Any, opened: list[Node | None], depth: int) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            raise Unreadable(event.start_mark, f"{quoted('*' + event.anchor)}: no anchor of this name before it")
        if any(node is one for one in opened):
            raise Unreadable(event.start_mark, f"{quoted('*' + event.anchor)} contains itself")
        size, height = self._extent(node)
        self.repeated += size
        if self.repeated > MOST_NODES:
            raise Unreadable(event.start_mark, f"aliases stand for more than {MOST_NODES:,} nodes in one file")
        if depth + height > DEEPEST:
            raise Unreadable(event.start_mark, f"with its aliases written out, nested deeper than {DEEPEST} levels")
        return node

    def _extent(self, node: Node) -> tuple[int, int]:
        """How many nodes this one stands for, itself included, and how many levels below the one it is in."""
        if isinstance(node, Scalar):
            return 1, 0
        known = self.extents.get(id(node))
        if known is None:
            below = node.items if isinstance(node, Sequence) else [value for _, value in node.entries.values()]
            extents = [self._extent(one) for one in below]
            known = 1 + sum(size for size, _ in extents), 1 + max((height for _, height in extents), default=0)
            self.extents[id(node)] = known
        return known

    def _inspect(self, found: list[Node]) -> None:
        seen: set[int] = set()
        waiting = list(found)
        while waiting:
            node = waiting.pop()
            if isinstance(node, Scalar):
                self._letters(node.text, node.mark)
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Sequence):
                waiting.extend(node.items)
                continue
            for key, (mark, value) in node.entries.items():
                if key == "<<":
                    hint = "write the keys out, or use `overrides`"
                    self.faults.add(place_of(self.file, mark), "", "merge keys (`<<`) are not read", hint)
                self._letters(key, mark)
                waiting.append(value)

    def _letters(self, text: str, mark: Mark) -> None:
        if bad := _SUSPECT.search(text):
            self.faults.add(
                place_of(self.file, mark),
                "",
                f"the control character U+{ord(bad[0]):04X} in a text",
                "a text that needs it can stand in a file of its own",
            )
