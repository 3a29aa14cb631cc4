"""Makes items of what variants of entries say: checks what must hold together, fills in what was left out.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.manifest.faults import Faults, Misread, shown
from fleet.manifest.inventory import NamePattern, Registry
from fleet.manifest.item import (
    AbsentItem,
    Alias,
    Create,
    Item,
    ParameterValue,
    Pull,
    Source,
    Warm,
)
from fleet.manifest.variants import Variant
from fleet.manifest.written import FileText, Gives
from fleet.names import ModelName

SOURCES = ("pull", "create", "alias", "absent")
_FOR_EVER = -1.0

Texts = Mapping[tuple[str, str], str | Misread]


class _Unsound(Exception):
    """The variant makes no item; the faults are told."""


class Making:
    """Makes items. `registries` are those that may be used, or nothing where any may."""

    def __init__(self, texts: Texts, registries: Mapping[str, Registry] | None, faults: Faults) -> None:
        self._texts = texts
        self._registries = registries
        self._faults = faults

    def make(self, variant: Variant) -> Item | AbsentItem | None:
        """The item that all hosts of the variant share, or nothing after faults."""
        try:
            return self._make(variant)
        except _Unsound:
            return None

    def _make(self, variant: Variant) -> Item | AbsentItem:
        entry, gives = variant.entry, variant.gives
        sources = [name for name in SOURCES if _has(gives, name)]
        if len(sources) > 1:
            both = f"`{sources[0]}` and `{sources[1]}` exclude each other"
            raise self._fault(variant, sources[1], both, "an entry has exactly one source")
        if sources == ["absent"]:
            return self._absent(variant)
        if entry.name is None:
            raise self._fault(variant, "", "a glob is allowed with `absent: true` only")
        protect, freeze = gives.get("protect"), gives.get("freeze")
        return Item(
            name=entry.name,
            source=self._source(variant, sources[0] if sources else "pull", entry.name),
            place=entry.place,
            warm=_warm(gives),
            protect=protect is not None and protect.value,
            freeze=freeze is not None and freeze.value,
            overridden=variant.overridden,
            where=variant.where,
        )

    def _absent(self, variant: Variant) -> AbsentItem:
        for key, given in variant.gives.items():
            if key != "absent" and given.value is not False:
                name = key.partition(".")[0]
                raise self._fault(variant, key, f"`{name}` makes no sense for a model that must be gone")
        entry = variant.entry
        pattern = entry.pattern or NamePattern(str(entry.name))
        return AbsentItem(pattern, entry.place, exact=entry.name, where=variant.where)

    def _source(self, variant: Variant, kind: str, name: ModelName) -> Source:
        gives = variant.gives
        if kind == "alias":
            source: ModelName = gives["alias"].value
            if source == name:
                raise self._fault(variant, "alias", f"`{name}` is an alias of itself")
            return Alias(source)
        if kind == "create":
            return self._create(variant, name)
        registry = self._registry(variant, name)
        return Pull(insecure=registry is not None and registry.insecure)

    def _registry(self, variant: Variant, name: ModelName) -> Registry | None:
        if self._registries is None:
            return None
        registry = self._registries.get(name.registry.lower())
        if registry is None:
            allowed = ", ".join(f"`{one}`" for one in self._registries) or "none"
            raise self._fault(
                variant, "", f"the registry `{name.registry}` is not among `registries`", f"allowed: {allowed}"
            )
        return registry

    def _create(self, variant: Variant, name: ModelName) -> Create:
        gives = variant.gives
        base = gives.get("create.from")
        if base is None:
            raise self._fault(variant, "create", "`from` is missing")
        if base.value == name:
            raise self._fault(variant, "create.from", f"`{name}` would be made from itself")
        values = {key: gives[f"create.{key}"].value for key in _PLAIN if f"create.{key}" in gives}
        for key in ("system", "template"):
            if f"create.{key}" in gives:
                values[key] = self._text(variant, f"create.{key}", gives[f"create.{key}"].value)
        if "create.license" in gives:
            texts = gives["create.license"].value
            values["license"] = tuple(self._text(variant, "create.license", one) for one in texts)
            for number, text in enumerate(values["license"], 1):
                if not text:
                    # Nobody means it, and what a server makes of it could not be recognised.
                    raise self._fault(variant, "create.license", f"text {number} of {len(texts)} is empty")
        return Create(base=base.value, parameters=_parameters(gives, "create.parameters."), **values)

    def _text(self, variant: Variant, key: str, value: str | FileText) -> str:
        if isinstance(value, str):
            return value
        text = self._texts[value.folder, variant.paths[value]]
        if isinstance(text, Misread):
            raise self._fault(variant, key, f"{shown(variant.paths[value])}: {text}")
        return text

    def _fault(self, variant: Variant, key: str, text: str, hint: str | None = None) -> _Unsound:
        """Tells a fault at the key, or at the first key below it, or at the entry."""
        below = (given for one, given in variant.gives.items() if one == key or one.startswith(key + "."))
        given = next(below, None) if key else None
        place = given.place if given else variant.entry.place
        path = f"{variant.entry.path}.{key}" if key else variant.entry.path
        self._faults.add(place, path, f"for `{variant.host.name}`: {text}" if variant.host else text, hint)
        return _Unsound()


_PLAIN = ("messages", "renderer", "parser", "requires")


def _has(gives: Gives, name: str) -> bool:
    return any(key == name or key.startswith(name + ".") for key in gives)


def _parameters(gives: Gives, prefix: str) -> dict[str, ParameterValue]:
    return {key.removeprefix(prefix): gives[key].value for key in sorted(gives) if key.startswith(prefix)}


def _warm(gives: Gives) -> Warm | None:
    if not _has(gives, "warm") or ("warm" in gives and gives["warm"].value is False):
        return None
    given = gives.get("warm.keep_alive")
    keep_alive = None if given is None or given.value == _FOR_EVER else given.value
    return Warm(keep_alive, _parameters(gives, "warm.options."))
