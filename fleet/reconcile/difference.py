"""Values that say how one item of one host differs from what is desired, or why nothing can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleet.codes import Code
from fleet.manifest.item import AbsentItem, Item, Warm
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.observed import Present, Unobserved


class State(StrEnum):
    """How an item stands before anything is done."""

    AS_DESIRED = "as-desired"
    DIFFERS = "differs"
    BLOCKED = "blocked"
    UNVERIFIED = "unverified"


class Reason(StrEnum):
    """Why a step is wanted: a closed set."""

    MISSING = "missing"
    BROKEN = "broken"
    FIELDS_DIFFER = "fields-differ"
    BASE_CHANGES = "base-changes"
    SOURCE_DIFFERS = "source-differs"
    SOURCE_CHANGES = "source-changes"
    DECLARED_ABSENT = "declared-absent"
    NOT_WARM = "not-warm"
    CONTENT_CHANGES = "content-changes"
    OLD_CONTENT_WARM = "old-content-warm"
    CONTEXT_DIFFERS = "context-differs"
    OPTIONS_CHANGED = "options-changed"
    EXPIRES_SOON = "expires-soon"
    IN_MEMORY = "in-memory"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that is not as declared. Texts stand as they are; renderers show them as hash and size."""

    field: str
    old: str | None
    new: str | None
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why an item cannot be had on this host."""

    code: Code
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One declared item on one host: how its content stands, and how its warmth does."""

    item: Item
    present: Present | None
    state: State
    reason: Reason | None = None
    changes: tuple[Change, ...] = ()
    blocked: Blocked | None = None
    wants: Digest | None = None
    """The digest that it should have, where that can be known beforehand (aliases)."""
    needs: ModelName | None = None
    """The base or source that must be as desired first."""
    warmth: Warmth | None = None
    """Nothing where the item is not declared warm."""


@dataclass(frozen=True, slots=True)
class Warmth:
    """How the warm part of an item stands."""

    state: State
    reason: Reason | None = None
    changes: tuple[Change, ...] = ()
    blocked: Blocked | None = None
    release_first: str | None = None
    """The listed name of a runner that holds former content and has to go before the load."""
    kept: Warm | None = None
    """How to load it: the entry's own way, for the longest time that any name on the same weights asks for."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A listed model that must be gone."""

    item: AbsentItem
    present: Present
    blocked: Blocked | None = None
    unload: bool = False
    """It is in memory, and no name that stays shares what is there."""


@dataclass(frozen=True, slots=True)
class HostDifference:
    """All differences of one host, items sorted by name, removals likewise."""

    host: HostName
    items: tuple[Difference, ...] = ()
    removals: tuple[Removal, ...] = ()
    unobserved: Unobserved | None = None
