"""Merges what several documents say about the fleet as a whole: its name, policy and registries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from fleet.manifest.document import NAME, Document
from fleet.manifest.faults import Faults
from fleet.manifest.inventory import NamePattern, Policy, Prune, Registry, Update
from fleet.manifest.inventory_format import (
    INSECURE,
    MAX_DELETES,
    MIRROR,
    POLICY,
    PROTECT,
    PRUNE,
    REGISTRIES,
    REGISTRY_URL,
    UPDATE,
)
from fleet.manifest.record import Fields, Given, Key

T = TypeVar("T")


def merge_name(documents: Sequence[Document], faults: Faults) -> str:
    return _agreed((document.fields for document in documents), NAME, NAME.name, faults) or "default"


def merge_policy(documents: Sequence[Document], faults: Faults) -> Policy:
    """Protected names add up; of the rest, two documents may not say different things."""
    parts = [part for document in documents if (part := document.fields[POLICY]) is not None]
    protect = {pattern.text.lower(): pattern for part in parts for pattern in part[PROTECT] or ()}
    most = _agreed(parts, MAX_DELETES, f"{POLICY.name}.{MAX_DELETES.name}", faults)
    update = _agreed(parts, UPDATE, f"{POLICY.name}.{UPDATE.name}", faults)
    prune = _agreed(parts, PRUNE, f"{POLICY.name}.{PRUNE.name}", faults)
    patterns: tuple[NamePattern, ...] = tuple(pattern for _, pattern in sorted(protect.items()))
    unsaid = Policy()
    return Policy(
        protect=patterns,
        max_deletes=unsaid.max_deletes if most is None else most,
        update=unsaid.update if update is None else Update(update),
        prune=unsaid.prune if prune is None else Prune(prune),
    )


def merge_registries(documents: Sequence[Document], faults: Faults) -> dict[str, Registry] | None:
    """The registries that may be used, by lower-case name; nothing where no document has the key."""
    found: dict[str, tuple[Registry, Given[Fields | None]]] = {}
    said = False
    for document in documents:
        registries = document.fields[REGISTRIES]
        said = said or registries is not None
        for name, given in (registries or {}).items():
            registry = _registry(name, given.value)
            before = found.setdefault(registry.name, (registry, given))
            if before[0] != registry:
                faults.add(given.place, f"registries.{name}", f"{before[1].place} says something else of it")
    for name, (registry, given) in found.items():
        _check_mirror(f"registries.{name}", registry, given, found, faults)
    return {name: registry for name, (registry, _) in sorted(found.items())} if said else None


def _registry(name: str, fields: Fields | None) -> Registry:
    if fields is None:
        return Registry(name.lower())
    mirror = fields[MIRROR]
    return Registry(
        name.lower(),
        insecure=fields[INSECURE] is True,
        mirror=mirror.lower() if mirror else None,
        url=fields[REGISTRY_URL],
    )


def _check_mirror(
    path: str,
    registry: Registry,
    given: Given[Fields | None],
    all_of_them: Mapping[str, tuple[Registry, Given[Fields | None]]],
    faults: Faults,
) -> None:
    """A mirror is what hosts really pull from, so it can be neither the registry itself nor one with a mirror."""
    if registry.mirror is None or given.value is None:
        return
    place = given.value.given[MIRROR.name].place
    if registry.mirror == registry.name:
        faults.add(place, f"{path}.mirror", "a registry is no mirror of itself")
    elif registry.mirror in all_of_them and (last := all_of_them[registry.mirror][0].mirror) is not None:
        text = f"`{registry.mirror}` has a mirror itself"
        faults.add(place, f"{path}.mirror", text, f"name the one that is really pulled from, as `{last}`")


def _agreed(parts: Iterable[Fields], key: Key[T], path: str, faults: Faults) -> T | None:
    first: Given[T] | None = None
    for part in parts:
        given = part.find(key)
        if given is None:
            continue
        if first is not None and first.value != given.value:
            faults.add(given.place, path, f"{first.place} says something else")
        first = first or given
    return first.value if first else None
