"""Reads a Modelfile into what the fields of `create` would say: two ways to write one value.

Pure. What repeated instructions mean is `ollama-api.md` 8.3.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.manifest.faults import Fault, Misread
from fleet.manifest.inventory import Place
from fleet.manifest.item import Message
from fleet.manifest.modelfile_lines import MOST_FAULTS, Instruction, Lines
from fleet.manifest.modelfile_parameters import parameter
from fleet.manifest.record import Given
from fleet.manifest.words import BUILTIN, SEMVER, path_text
from fleet.names import InvalidName

MOST_BYTES = 1 << 20
MOST_FROM = 1000
"""Lines that name what the model is made from: each is looked for in the file system."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a Modelfile says, each value with its place. Files and models are named as written: which is which depends
    on what lies beside the Modelfile.
    """

    made_from: tuple[Given[str], ...] = ()
    """All FROM lines."""
    adapter: Given[str] | None = None
    draft: Given[str] | None = None
    fields: Mapping[str, Given[Any]] = field(default_factory=dict)
    """By the dotted names of `create`: `system`, `parameters.seed`, and so on."""
    faults: tuple[Fault, ...] = ()
    """What is wrong, without the keys that lead to the Modelfile; then the rest is what could be read in spite of it."""

    @property
    def named(self) -> tuple[Given[str], ...]:
        """All that could be the path of a file."""
        return self.made_from + tuple(given for given in (self.adapter, self.draft) if given is not None)


def read_modelfile(content: bytes, file: str = "Modelfile") -> Modelfile:
    """What the bytes of a Modelfile say; `file` is its name in places. Never raises: what is wrong is in `faults`.

    Takes time and memory in proportion to the content, of which there may be 1 MiB.
    """
    if len(content) > MOST_BYTES:
        return Modelfile(faults=(Fault(Place(file, 1, 1), "", f"larger than {MOST_BYTES >> 20} MiB"),))
    text = _text(content, file)
    if isinstance(text, Fault):
        return Modelfile(faults=(text,))
    lines = Lines(text, file)
    reading = _Reading(lines.faults)
    for instruction in lines.read():
        reading.take(instruction)
    return reading.done()


def beside(modelfile: str, path: str) -> str:
    """The path that a Modelfile names, seen from where the Modelfile's own path starts."""
    folder, slash, _ = modelfile.rpartition("/")
    return path if path.startswith("/") else f"{folder}{slash}{path}"


def _text(content: bytes, file: str) -> str | Fault:
    mark, encoding = next((each for each in _BYTE_ORDER_MARKS if content.startswith(each[0])), (b"", "utf-8"))
    content = content[len(mark) :]
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "replace")
        lines = before.replace("\r\n", "\n").replace("\r", "\n")
        place = Place(file, lines.count("\n") + 1, len(lines) - lines.rfind("\n"))
        name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        return Fault(place, "", f"this is not {name}", "save the file as UTF-8")


class _Reading:
    """Takes instructions one after the other; what a later one replaces is judged all the same, as Ollama does it."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._made_from: list[Given[str]] = []
        self._files: dict[str, Given[str]] = {}
        self._fields: dict[str, Given[Any]] = {}

    def take(self, instruction: Instruction) -> None:
        try:
            self._take(instruction)
        except (Misread, InvalidName) as error:
            if len(self._faults) < MOST_FAULTS:
                self._faults.append(Fault(instruction.place, "", f"{instruction.word}: {error}", error.hint))

    def done(self) -> Modelfile:
        fields = self._fields.items()
        return Modelfile(
            tuple(self._made_from),
            self._files.get("ADAPTER"),
            self._files.get("DRAFT"),
            {key: Given(tuple(one.value), one.place) if isinstance(one.value, list) else one for key, one in fields},
            tuple(self._faults),
        )

    def _take(self, instruction: Instruction) -> None:
        value, place = instruction.value, instruction.place
        match instruction.word:
            case "FROM":
                if len(self._made_from) >= MOST_FROM:
                    raise Misread(f"more than {MOST_FROM:,} of them")
                self._made_from.append(Given(_named(value), place))
            case "ADAPTER" | "DRAFT" as word:
                self._files[word] = Given(_named(value), place)
            case "SYSTEM" | "TEMPLATE" as word:
                self._fields[word.lower()] = Given(value, place)
            case "RENDERER" | "PARSER" as word:
                self._fields[word.lower()] = Given(BUILTIN.parse(value), place)
            case "REQUIRES":
                self._fields["requires"] = Given(SEMVER.parse(value), place)
            case "LICENSE":
                if not value:
                    raise Misread("the text is empty")
                self._add("license", value, place)
            case "MESSAGE":
                self._add("messages", Message(instruction.name, value), place)
            case _:
                self._parameter(instruction.name, value, place)

    def _parameter(self, name: str, text: str, place: Place) -> None:
        value = parameter(name, text)
        if isinstance(value, tuple):
            self._add(f"parameters.{name}", text, place)
        else:
            self._fields[f"parameters.{name}"] = Given(value, place)

    def _add(self, key: str, value: object, place: Place) -> None:
        """Lists are gathered over the whole file; their place is that of their first line."""
        before = self._fields.get(key)
        if before is None:
            before = self._fields[key] = Given([], place)
        before.value.append(value)


def _named(value: str) -> str:
    if not value:
        raise Misread("nothing is named")
    return path_text(value)
