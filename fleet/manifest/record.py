"""Shapes made of shapes: lists, maps and records, with every value's place kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from fleet.manifest.faults import Misread, nearest, quoted, shown
from fleet.manifest.inventory import Place
from fleet.manifest.secrets import HINT, is_secret_key
from fleet.manifest.shape import JsonSchema, Reader, Shape, Wrong
from fleet.manifest.tree import Mapping, Node, Scalar, Sequence
from fleet.names import InvalidName

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Given(Generic[T]):
    """A value, and where its key was written."""

    value: T
    place: Place


class Key(Generic[T]):
    """A key of a record: its name, what it takes, and the sentence that editors show."""

    def __init__(self, name: str, shape: Shape[T], about: str, *, needed: bool = False) -> None:
        self.name = name
        self.shape = shape
        self.about = about
        self.needed = needed


class Fields:
    """What a record held: the keys that were written, each with its value and place."""

    __slots__ = ("given", "place")

    def __init__(self, place: Place, given: dict[str, Given[Any]]) -> None:
        self.place = place
        self.given = given

    def __getitem__(self, key: Key[T]) -> T | None:
        """The value of a key, or nothing where it was not written."""
        found = self.given.get(key.name)
        return cast("T", found.value) if found else None

    def find(self, key: Key[T]) -> Given[T] | None:
        """The value of a key with its place."""
        return cast("Given[T] | None", self.given.get(key.name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)


class Record(Shape[Fields]):
    """A map with known keys. `later` are keys that fleet knows and cannot do yet; `reserved` have no meaning yet;
    `elsewhere` tells of keys that people look for here where they belong.

    `title` names the record in the JSON Schema, `together` holds rules between keys there. With `salvage`, what is sound is given in spite of
    faults beside it, so that more can be found wrong at once; that there were faults is known to the reader's list.
    """

    wants = "a map"

    def __init__(
        self,
        *keys: Key[Any],
        later: tuple[str, ...] = (),
        reserved: tuple[str, ...] = (),
        elsewhere: dict[str, str] | None = None,
        title: str = "",
        together: JsonSchema | None = None,
        salvage: bool = False,
    ) -> None:
        self.keys = {key.name: key for key in keys}
        self.later = later
        self.reserved = reserved
        self.elsewhere = elsewhere or {}
        self.title = title
        self.together = together or {}
        self.salvage = salvage

    def read(self, node: Node, path: str, reader: Reader) -> Fields:
        if not isinstance(node, Mapping):
            there = "a list" if isinstance(node, Sequence) else "nothing" if node.null else quoted(node.text)
            raise reader.wrong(node.mark, path, f"wants {self.wants}, not {there}")
        given: dict[str, Given[Any]] = {}
        sound = True
        for name, (mark, value) in node.entries.items():
            inner = f"{path}.{shown(name)}" if path else shown(name)
            key = self.keys.get(name)
            if key is None:
                sound = False
                reader.faults.add(reader.place(mark), inner, *self._unknown(name))
                continue
            try:
                given[name] = Given(key.shape.read(value, inner, reader), reader.place(mark))
            except Wrong:
                sound = False
        for key in self.keys.values():
            if key.needed and key.name not in node.entries:
                sound = False
                reader.faults.add(reader.place(node.mark), path, f"`{key.name}` is missing")
        if not sound and not self.salvage:
            raise Wrong
        return Fields(reader.place(node.mark), given)

    def _unknown(self, name: str) -> tuple[str, str | None]:
        if is_secret_key(name):
            return "a secret is never written in this file", HINT
        if name in self.later:
            return "this is not supported yet", None
        if name in self.reserved:
            return "this key is reserved for a later version", None
        if name in self.elsewhere:
            return self.elsewhere[name], None
        return "unknown key", nearest(name, self.keys)

    def schema(self) -> JsonSchema:
        return {
            **({"title": self.title} if self.title else {}),
            "type": "object",
            "properties": {key.name: {**key.shape.schema(), "description": key.about} for key in self.keys.values()},
            "additionalProperties": False,
            **({"required": needed} if (needed := [key.name for key in self.keys.values() if key.needed]) else {}),
            **self.together,
        }


class MapOf(Shape[dict[str, Given[T]]]):
    """A map whose keys are the writer's own words; `check` raises `Misread` or `InvalidName` for a wrong one.

    There may be `most` of them; `salvage` is as for `Record`.
    """

    wants = "a map"

    def __init__(
        self, shape: Shape[T], check: Callable[[str], object], *, most: int = 1000, salvage: bool = False
    ) -> None:
        self.shape = shape
        self.check = check
        self.most = most
        self.salvage = salvage

    def read(self, node: Node, path: str, reader: Reader) -> dict[str, Given[T]]:
        if not isinstance(node, Mapping):
            there = "a list" if isinstance(node, Sequence) else "nothing" if node.null else quoted(node.text)
            raise reader.wrong(node.mark, path, f"wants {self.wants}, not {there}")
        if len(node.entries) > self.most:
            raise reader.wrong(node.mark, path, f"more than {self.most:,} keys")
        found: dict[str, Given[T]] = {}
        sound = True
        for name, (mark, value) in node.entries.items():
            inner = f"{path}.{shown(name)}"
            place = reader.place(mark)
            try:
                self.check(name)
            except (Misread, InvalidName) as error:
                sound = False
                reader.faults.add(place, inner, str(error), error.hint)
                continue
            try:
                found[name] = Given(self.shape.read(value, inner, reader), place)
            except Wrong:
                sound = False
        if not sound and not self.salvage:
            raise Wrong
        return found

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": self.shape.schema(), "maxProperties": self.most}


class ListOf(Shape[tuple[T, ...]]):
    """A list of at least `least` and at most `most`; with `lone`, a single value counts as a list of one."""

    def __init__(self, shape: Shape[T], *, lone: bool = False, least: int = 0, most: int = 1000) -> None:
        self.shape = shape
        self.lone = lone
        self.least = least
        self.most = most
        self.wants = f"{shape.wants}, or a list" if lone else "a list"

    def read(self, node: Node, path: str, reader: Reader) -> tuple[T, ...]:
        if not isinstance(node, Sequence):
            if self.lone:
                return (self.shape.read(node, path, reader),)
            there = "a map" if isinstance(node, Mapping) else "nothing" if node.null else quoted(node.text)
            raise reader.wrong(node.mark, path, f"wants {self.wants}, not {there}")
        if len(node.items) < self.least:
            raise reader.wrong(node.mark, path, "the list is empty", "leave the key out")
        if len(node.items) > self.most:
            raise reader.wrong(node.mark, path, f"more than {self.most:,} in one list")
        found: list[T] = []
        sound = True
        for number, item in enumerate(node.items):
            try:
                found.append(self.shape.read(item, f"{path}[{number}]", reader))
            except Wrong:
                sound = False
        if not sound:
            raise Wrong
        return tuple(found)

    def schema(self) -> JsonSchema:
        many: JsonSchema = {"type": "array", "items": self.shape.schema(), "maxItems": self.most}
        if self.least:
            many["minItems"] = self.least
        return {"anyOf": [self.shape.schema(), many]} if self.lone else many


class ScalarOr(Shape[S | T]):
    """Two forms of one thing: the short one as a scalar, the long one as a map or a list."""

    def __init__(self, short: Shape[S], long: Shape[T], *, wants: str | None = None) -> None:
        self.short = short
        self.long = long
        self.wants = wants or f"{short.wants} or {long.wants}"

    def read(self, node: Node, path: str, reader: Reader) -> S | T:
        if not isinstance(node, Scalar):
            return self.long.read(node, path, reader)
        if node.null:
            raise reader.wrong(node.mark, path, f"wants {self.wants}, and nothing is written")
        return self.short.read(node, path, reader)

    def schema(self) -> JsonSchema:
        return {"anyOf": [self.short.schema(), self.long.schema()]}


class OrEmpty(Shape[T | None]):
    """What `shape` takes, or nothing written at all."""

    def __init__(self, shape: Shape[T]) -> None:
        self.shape = shape
        self.wants = shape.wants

    def read(self, node: Node, path: str, reader: Reader) -> T | None:
        if isinstance(node, Scalar) and node.null:
            return None
        return self.shape.read(node, path, reader)

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "null"}, self.shape.schema()]}
