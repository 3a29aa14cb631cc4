"""Shapes: what may stand at a place of a document. One shape both reads a node and gives its JSON Schema.

Reading never stops at the first fault: a shape reports what is wrong and raises `Wrong`, and whatever holds it goes on
with the rest. Composite shapes are in `fleet.manifest.record`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fleet.manifest.faults import Faults, Misread, nearest, quoted
from fleet.manifest.inventory import Place
from fleet.manifest.tree import Mark, Node, Scalar, Sequence, place_of
from fleet.names import InvalidName
from fleet.parameters import in_float32
from fleet.quantities import InvalidQuantity

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
JsonSchema = dict[str, Any]

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?\Z")
_LARGEST = 2**63 - 1


class Wrong(Exception):
    """What stands here is wrong and has been reported."""


class Reader:
    """One document being read: the name of its file, the folder that paths in it start from, and where faults go."""

    def __init__(self, file: str, folder: str, faults: Faults) -> None:
        self.file = file
        self.folder = folder
        self.faults = faults

    def place(self, mark: Mark) -> Place:
        return place_of(self.file, mark)

    def wrong(self, mark: Mark, path: str, text: str, hint: str | None = None) -> Wrong:
        """Reports a fault and gives what to raise."""
        self.faults.add(self.place(mark), path, text, hint)
        return Wrong()


class Shape(ABC, Generic[T_co]):
    """What may stand at a place; `wants` says it in words, as in `wants text`."""

    wants: str

    @abstractmethod
    def read(self, node: Node, path: str, reader: Reader) -> T_co:
        """The value of the node. Raises `Wrong` after it told `reader` what is wrong."""

    @abstractmethod
    def schema(self) -> JsonSchema:
        """A JSON Schema that takes all that `read` takes, as editors see it, where `3.10` is a number."""

    def scalar(self, node: Node, path: str, reader: Reader) -> Scalar:
        """The node as a scalar that is not empty. Raises `Wrong`."""
        if not isinstance(node, Scalar):
            there = "a list" if isinstance(node, Sequence) else "a map"
            raise reader.wrong(node.mark, path, f"wants {self.wants}, not {there}")
        if node.null:
            raise reader.wrong(node.mark, path, f"wants {self.wants}, and nothing is written")
        return node


ANY_TEXT: JsonSchema = {"type": ["string", "number", "boolean"]}


class Text(Shape[str]):
    """Any text. A plain `3.10`, `no` or `010` is a text as well, just as it was written."""

    wants = "text"

    def read(self, node: Node, path: str, reader: Reader) -> str:
        return self.scalar(node, path, reader).text

    def schema(self) -> JsonSchema:
        return dict(ANY_TEXT)


class Parsed(Shape[T]):
    """A text with a grammar of its own: `parse` raises `Misread` or `InvalidName`, whose words are the fault."""

    def __init__(self, wants: str, parse: Callable[[str], T], described: JsonSchema = ANY_TEXT) -> None:
        self.wants = wants
        self.parse = parse
        self.described = described

    def read(self, node: Node, path: str, reader: Reader) -> T:
        scalar = self.scalar(node, path, reader)
        try:
            return self.parse(scalar.text)
        except Misread as error:
            raise reader.wrong(_Within(scalar, error.offset), path, str(error), error.hint) from None
        except InvalidName as error:
            raise reader.wrong(scalar.mark, path, str(error), error.hint) from None
        except InvalidQuantity as error:
            raise reader.wrong(scalar.mark, path, str(error)) from None

    def schema(self) -> JsonSchema:
        return dict(self.described)


class _Within:
    """A place inside a scalar; only the first one where the scalar takes several lines."""

    def __init__(self, scalar: Scalar, offset: int) -> None:
        self.line = scalar.mark.line
        self.column = scalar.mark.column
        if offset and scalar.style not in {"|", ">"}:
            self.column += offset + (1 if scalar.style else 0)


class Choice(Shape[str]):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.wants = " or ".join(f"`{word}`" for word in words)

    def read(self, node: Node, path: str, reader: Reader) -> str:
        scalar = self.scalar(node, path, reader)
        if scalar.text in self.words:
            return scalar.text
        hint = nearest(scalar.text, self.words)
        raise reader.wrong(scalar.mark, path, f"wants {self.wants}, not {quoted(scalar.text)}", hint)

    def schema(self) -> JsonSchema:
        return {"enum": list(self.words)}


class Flag(Shape[bool]):
    """`true` or `false`; where `only` is given, nothing but that."""

    def __init__(self, only: bool | None = None, *, wants: str | None = None) -> None:
        self.only = only
        self.wants = wants or ("`true` or `false`" if only is None else f"`{str(only).lower()}`")

    def read(self, node: Node, path: str, reader: Reader) -> bool:
        scalar = self.scalar(node, path, reader)
        value = {"true": True, "false": False}.get(scalar.text) if not scalar.style else None
        if value is None or self.only not in {None, value}:
            hint = "without quotes" if scalar.style and scalar.text in {"true", "false"} else None
            raise reader.wrong(scalar.mark, path, f"wants {self.wants}, not {quoted(scalar.text)}", hint)
        return value

    def schema(self) -> JsonSchema:
        return {"type": "boolean"} if self.only is None else {"const": self.only}


class Whole(Shape[int]):
    """A whole number of at least `least`, within 64 bits."""

    wants = "a whole number"

    def __init__(self, least: int = -_LARGEST - 1) -> None:
        self.least = least

    def read(self, node: Node, path: str, reader: Reader) -> int:
        scalar = self.scalar(node, path, reader)
        if scalar.style or not _WHOLE.match(scalar.text):
            hint = "without quotes" if scalar.style and _WHOLE.match(scalar.text) else None
            raise reader.wrong(scalar.mark, path, f"wants {self.wants}, not {quoted(scalar.text)}", hint)
        value = int(scalar.text)
        if not self.least <= value <= _LARGEST:
            least = "a number of 64 bits" if self.least < 0 else f"{self.wants} from {self.least} on"
            raise reader.wrong(scalar.mark, path, f"wants {least}, not {quoted(scalar.text)}")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "integer"} if self.least < 0 else {"type": "integer", "minimum": self.least}


class Number(Shape[float]):
    """A number with or without a fraction, which a float of 32 bits can hold."""

    wants = "a number"

    def read(self, node: Node, path: str, reader: Reader) -> float:
        scalar = self.scalar(node, path, reader)
        if scalar.style or not _NUMBER.match(scalar.text):
            hint = "without quotes" if scalar.style and _NUMBER.match(scalar.text) else None
            raise reader.wrong(scalar.mark, path, f"wants {self.wants}, not {quoted(scalar.text)}", hint)
        value = float(scalar.text)
        if not in_float32(value):
            raise reader.wrong(scalar.mark, path, f"{quoted(scalar.text)} is more than servers can hold")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "number", "minimum": -(2.0**128), "maximum": 2.0**128}
