"""How every declared item stands between two passes, for whoever looks: the page, the metrics, `fleet status`. Values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fleet.codes import Code
from fleet.names import Digest, HostName, ModelName


class Condition(StrEnum):
    """One for each item and each host; what a person has to do is in the word."""

    READY = "ready"
    """As desired, proven by the last look."""
    PROGRESSING = "progressing"
    """Worked on now, or tried again by itself at a known time."""
    STALLED = "stalled"
    """Trying again will not help: a person has to change something. It is looked at again now and then."""
    BLOCKED = "blocked"
    """The host cannot have it as it is declared, or what it needs is not to be had."""
    SUSPENDED = "suspended"
    """It would be changed, and nothing is, because somebody said so."""
    UNKNOWN = "unknown"
    """The host could not be looked at."""


WORST = (
    Condition.STALLED,
    Condition.BLOCKED,
    Condition.UNKNOWN,
    Condition.PROGRESSING,
    Condition.SUSPENDED,
    Condition.READY,
)
"""In the order in which a person should see them."""


class Kind(StrEnum):
    """What the manifests say of a name."""

    ITEM = "item"
    REMOVAL = "removal"


@dataclass(frozen=True, slots=True)
class Moving:
    """A step at work."""

    action: str
    """As in a plan: `pull`, `upload`, `create` …"""
    words: str = ""
    """The server's own, cleaned."""
    completed: int | None = None
    """Bytes."""
    total: int | None = None
    rate: float | None = None
    """Bytes a second, over the last seconds."""


# Never changed once it is made, but not `frozen`: making one would take four times as long, and there are
# one for each item of each host in each pass.
@dataclass(slots=True, unsafe_hash=True)
class ItemStatus:
    """One declared name on one host."""

    model: ModelName
    condition: Condition
    reason: str
    """One word of a closed set: a reason of a plan (`missing`, `digest-differs`), `as-desired`, `not-observed` …"""
    since: datetime
    """When the condition, its reason or its code last changed."""
    kind: Kind = Kind.ITEM
    message: str = ""
    """For people, cleaned; empty where the reason says it all."""
    code: Code | None = None
    """Of what went wrong, or stands in the way."""
    next_try: datetime | None = None
    """When it is tried again by itself, where that is later than the next pass."""
    tries: int = 0
    """How often in a row it failed."""
    changes: tuple[str, ...] = ()
    """Which fields differ, one text each, without content."""
    memory: str = ""
    """`warm`, `not warm`, `blocked`; empty where it is not declared warm."""
    digest: Digest | None = None
    size: int | None = None
    """Bytes on the host."""
    moving: Moving | None = None


@dataclass(frozen=True, slots=True)
class InMemory:
    """A model that a host holds in memory."""

    listed: str
    size: int
    """Bytes in all."""
    vram: int
    """Bytes of them on accelerators."""
    until: datetime | None
    """When the server lets go of it; far ahead for `for ever`."""
    declared: bool
    """Whether the manifests want it warm."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host with its items, sorted by name."""

    name: HostName
    condition: Condition
    """The worst of its items; its own where it could not be looked at or is suspended."""
    reason: str
    since: datetime
    url: str = ""
    """Without credentials; it never has any."""
    labels: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    code: Code | None = None
    version: str = ""
    """Of the server, as it says; empty as long as it was not seen."""
    seen: datetime | None = None
    """The last time that it answered."""
    converged: datetime | None = None
    """The last time that everything on it was as desired."""
    next_try: datetime | None = None
    busy_since: datetime | None = None
    """Since when a pass works on it; nothing where none does."""
    vram: int | None = None
    """Bytes that it has for models, where the inventory says."""
    memory: tuple[InMemory, ...] = ()
    items: tuple[ItemStatus, ...] = ()
    refusals: tuple[str, ...] = ()
    """What a guard holds back on this host, in whole sentences: it waits for a person."""

    @property
    def counts(self) -> Counter[Condition]:
        return Counter(item.condition for item in self.items)

    @property
    def ready(self) -> bool:
        """As desired and warm, as far as the last look tells: what a load balancer asks."""
        return self.condition is Condition.READY


class SourceState(StrEnum):
    """How the last reading of manifests went."""

    GOOD = "good"
    BROKEN = "broken"
    """They are wrong as written; the last good ones stay in force."""
    UNREACHABLE = "unreachable"
    """They could not be had; the last good ones stay in force."""
    NONE = "none"
    """Never read so far."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Where the manifests come from and which of them are in force."""

    state: SourceState
    what: str
    """For people: folders, or a repository with ref and path, without credentials."""
    revision: str = ""
    """Of what is in force: a commit, or the fingerprint of the desired state."""
    since: datetime | None = None
    """Since when the state is what it is."""
    message: str = ""
    """Why, unless it is good: every fault, a line each."""


class Outcome(StrEnum):
    """How a pass ended."""

    RUNNING = "running"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FAILED = "failed"
    """Something on some host failed, is unknown or was refused."""
    CUT_SHORT = "cut-short"
    """It was stopped before its end; the next one goes on."""
    NOT_BEGUN = "not-begun"
    """No manifests could be had, or another run has the lock."""


@dataclass(frozen=True, slots=True)
class PassStatus:
    """One pass, from the history."""

    number: int
    begun: datetime
    ended: datetime | None
    triggers: tuple[str, ...]
    """`interval`, `calendar`, `files`, `git`, `hook`, `signal`, `request`, `start`, `retry`, `woke`; several at once are one pass."""
    revision: str
    outcome: Outcome
    done: int = 0
    """Steps that were carried out."""
    failed: int = 0
    """Steps that failed or whose end is not known."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """Everything but the hosts."""

    name: str
    at: datetime
    started: datetime
    version: str
    """Of fleet itself."""
    source: SourceStatus
    interval: float
    """Seconds between two passes."""
    next_pass: datetime | None
    passes: tuple[PassStatus, ...] = ()
    """The last ones, newest first."""
    last_success: datetime | None = None
    """The end of the last pass that read its manifests and looked at every host that it could reach."""
    dry_run: bool = False
    refusals: tuple[str, ...] = ()
    """What a guard holds back of the whole pass, in whole sentences."""
    notes: tuple[str, ...] = ()
    """What a person should know besides, in whole sentences."""
