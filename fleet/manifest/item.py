"""Values of what manifests ask of one host: items, after selectors, overrides and defaults are worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.manifest.inventory import Host, NamePattern, Place, Policy, Registry
from fleet.names import HostName, ModelName

ParameterValue = str | int | float | bool | tuple[str, ...]
"""One value of a parameter or option as the API takes it; only `stop` is a list."""


class Update(StrEnum):
    """When a pulled name counts as current."""

    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Pull:
    """Have the name on disk, pulled from its registry."""

    update: Update = Update.MISSING
    insecure: bool = False
    """The inventory says that this registry speaks plain HTTP."""


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Create:
    """A model made from another one. A field that is nothing is not declared, and inherited from the base."""

    base: ModelName
    system: str | None = None
    template: str | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    """By name, sorted; names and types were checked against everything any version knows."""
    messages: tuple[Message, ...] = ()
    license: tuple[str, ...] = ()
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """A copy that follows its source: the same digest, no disk."""

    source: ModelName


Source = Pull | Create | Alias


@dataclass(frozen=True, slots=True)
class Warm:
    """Keep the model in memory."""

    keep_alive: float | None = None
    """Seconds; nothing means for ever."""
    options: Mapping[str, ParameterValue] = field(default_factory=dict)
    """Options of the load request, by name, sorted."""


@dataclass(frozen=True, slots=True)
class Item:
    """One model that a host must have."""

    name: ModelName
    source: Source
    place: Place
    """Of the entry that decides; what overrode it is in `overridden`."""
    warm: Warm | None = None
    protect: bool = False
    freeze: bool = False
    overridden: tuple[Place, ...] = ()
    where: str | None = None
    """The selectors that let this entry reach this host, as written; nothing where none was."""


@dataclass(frozen=True, slots=True)
class AbsentItem:
    """Names that a host must not have. An exact entry beats a glob."""

    pattern: NamePattern
    place: Place
    exact: ModelName | None = None
    """The name, where the entry is no glob."""
    where: str | None = None


@dataclass(frozen=True, slots=True)
class HostDesired:
    """All that is asked of one host; `items` sorted by name, `absent` by pattern."""

    host: Host
    items: tuple[Item, ...] = ()
    absent: tuple[AbsentItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Desired:
    """What inventory and manifests ask of every host, in the order of host names."""

    name: str
    hosts: Mapping[HostName, HostDesired]
    policy: Policy = Policy()
    registries: Mapping[str, Registry] | None = None
    """By lower-case name; nothing where the inventory names none, so that any may be used."""
