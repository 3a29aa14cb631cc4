"""Merges what several documents say about the fleet as a whole: its name, policy and registries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from fleet.manifest.document import NAME, Document
from fleet.manifest.faults import Faults
from fleet.manifest.inventory import NamePattern, Policy, Registry
from fleet.manifest.inventory_format import INSECURE, MAX_DELETES, POLICY, PROTECT, REGISTRIES
from fleet.manifest.record import Fields, Given, Key

T = TypeVar("T")


def merge_name(documents: Sequence[Document], faults: Faults) -> str:
    return _agreed((document.fields for document in documents), NAME, NAME.name, faults) or "default"


def merge_policy(documents: Sequence[Document], faults: Faults) -> Policy:
    """Protected names add up; of the rest, two documents may not say different things."""
    parts = [part for document in documents if (part := document.fields[POLICY]) is not None]
    protect = {pattern.text.lower(): pattern for part in parts for pattern in part[PROTECT] or ()}
    most = _agreed(parts, MAX_DELETES, f"{POLICY.name}.{MAX_DELETES.name}", faults)
    patterns: tuple[NamePattern, ...] = tuple(pattern for _, pattern in sorted(protect.items()))
    return Policy(patterns) if most is None else Policy(patterns, most)


def merge_registries(documents: Sequence[Document], faults: Faults) -> dict[str, Registry] | None:
    """The registries that may be used, by lower-case name; nothing where no document has the key."""
    found: dict[str, tuple[Registry, Given[Fields | None]]] = {}
    said = False
    for document in documents:
        registries = document.fields[REGISTRIES]
        said = said or registries is not None
        for name, given in (registries or {}).items():
            insecure = given.value[INSECURE] if given.value is not None else None
            registry = Registry(name.lower(), insecure=insecure is True)
            before = found.setdefault(registry.name, (registry, given))
            if before[0] != registry:
                faults.add(given.place, f"registries.{name}", f"{before[1].place} says something else of it")
    return {name: registry for name, (registry, _) in sorted(found.items())} if said else None


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
