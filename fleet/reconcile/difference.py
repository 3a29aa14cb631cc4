"""Values that say how one item of one host differs from what is desired, or why nothing can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleet.codes import Code
from fleet.manifest.item import AbsentItem, Item, ParameterValue, Warm
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.observed import Present, Unobserved
from fleet.weights.local import LocalFile


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
    DIGEST_DIFFERS = "digest-differs"
    FIELDS_DIFFER = "fields-differ"
    INPUTS_CHANGED = "inputs-changed"
    CHANGED_ELSEWHERE = "changed-elsewhere"
    REBUILD_ASKED = "rebuild-asked"
    UNFINISHED = "unfinished"
    BASE_CHANGES = "base-changes"
    BASE_CHANGED = "base-changed"
    SOURCE_DIFFERS = "source-differs"
    SOURCE_CHANGES = "source-changes"
    DECLARED_ABSENT = "declared-absent"
    NO_LONGER_DECLARED = "no-longer-declared"
    NOT_DECLARED = "not-declared"
    LEFT_OVER = "left-over"
    PUT_BACK = "put-back"
    NOT_WARM = "not-warm"
    CONTENT_CHANGES = "content-changes"
    OLD_CONTENT_WARM = "old-content-warm"
    CONTEXT_DIFFERS = "context-differs"
    OPTIONS_CHANGED = "options-changed"
    EXPIRES_SOON = "expires-soon"
    CHECKED_BESIDE = "checked-beside"
    IN_MEMORY = "in-memory"
    NO_LONGER_WARM = "no-longer-warm"
    BLOB_MISSING = "blob-missing"
    NOT_CHECKED = "not-checked"
    NOT_PUBLISHED = "not-published"
    PUBLISHED_DIFFERS = "published-differs"


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


# Never changed once it is made, but not `frozen`: making one would take four times as long, and there are
# one for each item of each host.
@dataclass(slots=True, unsafe_hash=True)
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
    trouble: Blocked | None = None
    """What a person should see to although the content stays as it is; what depends on the item goes on."""
    adopt: bool = False
    """It is as desired, which no evidence tells yet: to be recorded."""
    accepts: frozenset[Digest] | None = None
    """The only digests that a pulled item may have; nothing where any will do or none is known."""
    fetch: Fetch | None = None
    """What a pull would bring, where the registry told."""
    blobs: tuple[LocalBlob, ...] = ()
    """What the create needs of this machine and the host has not, of blobs that can be known beforehand."""
    unchecked: bool = False
    """Its questions were not asked of this content yet, or the content is still to come."""
    publish: Reason | None = None
    """Why it is to be pushed from this host, if it is."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What a registry serves under the name that is to be pulled."""

    digests: frozenset[Digest]
    """All accepted forms of it."""
    missing: Mapping[Digest, int] | None
    """Layers that the host has not, with their bytes; nothing where it was not asked."""


@dataclass(frozen=True, slots=True)
class LocalBlob:
    """One blob that a create refers to, and the files on this machine that it is made of."""

    digest: Digest | None
    """Nothing for an archive that has to be made first."""
    size: int
    files: tuple[LocalFile, ...]
    """One, or the members of an archive."""

    @property
    def shown(self) -> str:
        return self.files[0].shown if len(self.files) == 1 else f"{len(self.files)} files as one archive"


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
    offloaded: int = 0
    """Bytes of what is in memory that are on the CPU although the host has a GPU."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A listed model that must be gone."""

    item: AbsentItem | None
    """The entry that says so; nothing where `policy.prune` does, of what no entry names."""
    present: Present
    blocked: Blocked | None = None
    unload: bool = False
    """It is in memory, and no name that stays shares what is there."""
    reason: Reason = Reason.DECLARED_ABSENT


@dataclass(frozen=True, slots=True)
class Leftover:
    """A name that fleet put there for the time of one step, and that a killed run left."""

    present: Present
    why: str
    stands: Present | None = None
    """What a killed run left under the name that this is the former content of, where that is somebody's."""
    unload: bool = False
    """It is in memory, and nothing else there keeps its weights."""


@dataclass(frozen=True, slots=True)
class Release:
    """A model in memory that fleet warmed and that is not declared warm any more."""

    present: Present
    options: Mapping[str, ParameterValue]
    """Those that it was loaded with: others would load it anew."""


@dataclass(frozen=True, slots=True)
class HostDifference:
    """All differences of one host, items sorted by name, removals likewise."""

    host: HostName
    items: tuple[Difference, ...] = ()
    removals: tuple[Removal, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    releases: tuple[Release, ...] = ()
    unobserved: Unobserved | None = None
