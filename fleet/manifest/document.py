"""One document of an inventory or manifest, from its tree to what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fleet.manifest.faults import Faults, quoted, shown
from fleet.manifest.glob import is_glob
from fleet.manifest.inventory import NamePattern
from fleet.manifest.inventory_format import FILE_ROOTS, GROUPS, HOSTS, LOCK_FILE, POLICY, REGISTRIES
from fleet.manifest.model_format import ALLOW_EMPTY, MODELS, OVERRIDE_WHERE, OVERRIDES, SETTABLE_NAMES, WHERE
from fleet.manifest.record import Fields, Given, Key, Record
from fleet.manifest.selector import Selector
from fleet.manifest.shape import JsonSchema, Reader, Shape, Whole, Wrong
from fleet.manifest.tree import Node
from fleet.manifest.words import FLEET_NAME
from fleet.manifest.written import Entry, Gives, Override, Where
from fleet.names import ModelName


class _Version(Shape[int]):
    """The version of this format."""

    wants = "`1`"

    def read(self, node: Node, path: str, reader: Reader) -> int:
        version = Whole().read(node, path, reader)
        if version != 1:
            raise reader.wrong(node.mark, path, f"format {version} is not known here; wants `1`")
        return version

    def schema(self) -> JsonSchema:
        return {"const": 1}


VERSION: Final = Key("version", _Version(), "The version of this format: 1.", needed=True)
NAME: Final = Key("name", FLEET_NAME, "The name of the fleet, under which fleet remembers its passes.")
DOCUMENT_WHERE: Final = Key("where", WHERE.shape, "Narrows every entry of this document.")
INVENTORY_KEYS: Final = (NAME, HOSTS, GROUPS, REGISTRIES, POLICY, FILE_ROOTS)
"""What an inventory of its own keeps out of manifests."""

_ELSEWHERE: Final = {
    "prune": "`prune` belongs under `policy`",
    "lock": LOCK_FILE,
    "lockfile": LOCK_FILE,
    **{name: f"`{name}` belongs under `policy`" for name in ("update", "protect", "max_deletes")},
}

DOCUMENT: Final = Record(VERSION, *INVENTORY_KEYS, DOCUMENT_WHERE, MODELS, elsewhere=_ELSEWHERE, salvage=True)


@dataclass(frozen=True, slots=True)
class Document:
    """What one document says: the inventory's part by key, the entries typed. `folder` is where its paths start."""

    folder: str
    fields: Fields
    where: Where | None
    entries: tuple[Entry, ...]


def read_document(node: Node, reader: Reader, *, inventory_apart: bool) -> Document | None:
    """Reads one document, its faults to the reader. With an inventory apart, the inventory's keys are faults here."""
    try:
        fields = DOCUMENT.read(node, "", reader)
    except Wrong:
        return None
    if inventory_apart:
        for key in INVENTORY_KEYS:
            if given := fields.given.pop(key.name, None):
                hint = "the inventory given by `-i` alone may say this"
                reader.faults.add(given.place, key.name, "this key is refused in manifests", hint)
    where = _where(fields.find(DOCUMENT_WHERE), "")
    models = fields[MODELS] or {}
    _one_spelling(models, reader.faults)
    return Document(reader.folder, fields, where, tuple(_entries(models, where, reader.faults)))


def _entries(models: dict[str, Given[Fields | None]], within: Where | None, faults: Faults) -> Iterator[Entry]:
    for key, given in models.items():
        path = f"models.{shown(key)}"
        fields = given.value or Fields(given.place, {})
        gives = _gives(fields)
        if is_glob(key) and "absent" not in gives:
            faults.add(given.place, path, "a glob is allowed with `absent: true` only")
            continue
        yield Entry(
            name=None if is_glob(key) else ModelName.parse(key),
            pattern=NamePattern(key) if is_glob(key) else None,
            place=given.place,
            path=path,
            gives=gives,
            within=within,
            where=_where(fields.find(WHERE), path),
            allow_empty=fields[ALLOW_EMPTY] is True,
            overrides=tuple(_overrides(fields, path, faults)),
        )


def _overrides(fields: Fields, path: str, faults: Faults) -> Iterator[Override]:
    overrides = fields[OVERRIDES]
    for number, given in enumerate(overrides or ()):
        inner = f"{path}.overrides[{number}]"
        where = _where(given.find(OVERRIDE_WHERE), inner)
        gives = _gives(given)
        if not gives:
            faults.add(given.place, inner, "this override sets nothing")
        if where is not None:
            yield Override(where, gives, given.place, inner)


def _where(given: Given[Selector] | None, path: str) -> Where | None:
    if given is None:
        return None
    return Where(given.value, given.place, f"{path}.where" if path else "where")


def _gives(fields: Fields) -> Gives:
    found: dict[str, Given[Any]] = {}
    for name in SETTABLE_NAMES:
        if given := fields.given.get(name):
            _flatten(name, given, found)
    return found


def _flatten(path: str, given: Given[Any], found: dict[str, Given[Any]]) -> None:
    if not isinstance(given.value, Fields):
        found[path] = given
        return
    if not given.value.given:
        # An empty map says that the key is there: `pull: {}`, `warm: {}`.
        found[path] = Given(True, given.place)
    for name, inner in given.value.given.items():
        _flatten(f"{path}.{name}", inner, found)


def _one_spelling(models: dict[str, Given[Any]], faults: Faults) -> None:
    first: dict[ModelName, str] = {}
    for key, given in models.items():
        if is_glob(key):
            continue
        name = ModelName.parse(key)
        if name in first:
            before = models[first[name]].place.line
            faults.add(
                given.place,
                f"models.{shown(key)}",
                f"the same model as {quoted(first[name])} on line {before}",
                "keep one of the two spellings",
            )
        first.setdefault(name, key)
