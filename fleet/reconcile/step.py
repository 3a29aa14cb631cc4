"""Values of a plan: steps in order, and what is left alone and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.codes import Code
from fleet.manifest.item import Item, ParameterValue
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.difference import Blocked, Change, HostDifference, LocalBlob, Reason, State
from fleet.reconcile.known import Known
from fleet.reconcile.observed import Observation, Unobserved


class Action(StrEnum):
    """What one step does to one model on one host."""

    PULL = "pull"
    UPLOAD = "upload"
    CREATE = "create"
    CHECK = "check"
    COPY = "copy"
    LOAD = "load"
    RELEASE = "release"
    UNLOAD = "unload"
    DELETE = "delete"
    PUSH = "push"


# Never changed once it is made, but not `frozen`: making one would take four times as long, and there are
# tens of thousands for a large fleet.
@dataclass(slots=True, unsafe_hash=True)
class Step:
    """One change to one model on one host, and why it is wanted."""

    number: int
    """From 1, over the whole plan."""
    host: HostName
    model: ModelName
    listed: str
    """The spelling to use towards the server."""
    action: Action
    reason: Reason
    old: Digest | None = None
    """What the name holds now; nothing where it is not there."""
    new: Digest | None = None
    """What it will hold, where that can be known beforehand."""
    new_after: int | None = None
    """The step after which `new` is known."""
    bytes_in: int | None = None
    """To transfer; nothing where not known."""
    bytes_freed: int | None = None
    """At most, since layers are shared; nothing where not known."""
    presumes: Digest | None = None
    """What the name must still hold just before acting; nothing: it must not be there."""
    needs: tuple[int, ...] = ()
    """Steps of the same host that must have succeeded before."""
    changes: tuple[Change, ...] = ()
    source: ModelName | None = None
    """The base of a create, the source of a copy."""
    item: Item | None = None
    """What it is done for; nothing for deletes and the unloads before them."""
    inputs: str | None = None
    """SHA-256 of what a create or a load is made from, so that a saved plan notices a change without holding it."""
    blob: LocalBlob | None = None
    """What an upload sends."""
    accepts: frozenset[Digest] | None = None
    """The only digests that a pull may bring; nothing where any will do."""
    release: Mapping[str, ParameterValue] | None = None
    """The options that a model which is to be released was loaded with."""


@dataclass(frozen=True, slots=True)
class BlockedItem:
    """An item that a host cannot have; it and what depends on it are left alone."""

    host: HostName
    model: ModelName
    blocked: Blocked


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a guard held back, as a whole."""

    code: Code
    message: str
    hint: str
    host: HostName | None = None
    """Nothing where it concerns the whole pass."""
    would: tuple[str, ...] = ()
    """What would have been done, one text a step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered steps that remove the differences. Equal input gives an equal plan, byte for byte."""

    name: str
    """Of the fleet."""
    steps: tuple[Step, ...] = ()
    hosts: tuple[HostDifference, ...] = ()
    """Every selected host, unobserved and suspended ones included, in the order of names."""
    blocked: tuple[BlockedItem, ...] = ()
    refused: tuple[Refusal, ...] = ()
    suspended: Mapping[HostName, str] = field(default_factory=dict)
    """Hosts that are only looked at, and why."""
    fingerprint: str = ""
    """Of the desired state that it was made from."""
    filtered: bool = False
    """Whether only a part of the desired state was looked at."""
    observations: Mapping[HostName, Observation] = field(default_factory=dict, compare=False, repr=False)
    """What it was made from, by host: what execution starts from."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What a person should know of the record that fleet keeps and of registries, in whole sentences."""
    known: Known = field(default_factory=Known, compare=False, repr=False)
    """What was known beyond the hosts when it was made."""
    urls: Mapping[HostName, str] = field(default_factory=dict)
    """Where each of these hosts is, so that a saved plan is not carried out on another machine."""

    @property
    def unobserved(self) -> tuple[Unobserved, ...]:
        """Hosts that should have been seen; a suspended one, in repair perhaps, is expected to be down."""
        return tuple(h.unobserved for h in self.hosts if h.unobserved is not None and h.host not in self.suspended)

    @property
    def unverified(self) -> tuple[tuple[HostName, ModelName], ...]:
        """Created models of which the server shows too little to prove anything."""
        return tuple((h.host, d.item.name) for h in self.hosts for d in h.items if d.state is State.UNVERIFIED)
