"""Values of what manifests ask of one host: items, after selectors, overrides and defaults are worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.manifest.inventory import Host, NamePattern, Place, Policy, Prune, Registry, Update
from fleet.names import Digest, HostName, ModelName
from fleet.weights.local import LocalFile

ParameterValue = str | int | float | bool | tuple[str, ...]
"""One value of a parameter or option as the API takes it; only `stop` is a list."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Have the name on disk, pulled from its registry."""

    update: Update = Update.MISSING
    insecure: bool = False
    """The inventory says that the registry which is pulled from speaks plain HTTP."""
    pin: Digest | None = None
    """The only content that may be installed, in either form of its digest (`ollama-api.md` 4.2)."""
    origin: ModelName | None = None
    """What is pulled in place of the name, and copied to it: `pull.from`, or the same model in a mirror."""


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Create:
    """A model made from another one or from files. A text or field that is nothing is not declared, and inherited."""

    base: ModelName | None
    """Nothing where `files` are what it is made from."""
    files: tuple[LocalFile, ...] = ()
    """Weights: GGUFs, or the files of a safetensors directory. Sorted by `key`."""
    adapters: tuple[LocalFile, ...] = ()
    drafts: tuple[LocalFile, ...] = ()
    quantize: str | None = None
    """In upper case, `Q4_K` written as `Q4_K_M`."""
    draft_quantize: str | None = None
    system: str | None = None
    template: str | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    """By name, sorted; names and types were checked against everything any version knows."""
    messages: tuple[Message, ...] = ()
    license: tuple[str, ...] = ()
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None

    @property
    def local_files(self) -> tuple[LocalFile, ...]:
        """All that is read on this machine."""
        return self.files + self.adapters + self.drafts


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
class Check:
    """One question that a model has to answer well. Exactly one of `prompt`, `chat` and `embed` is given."""

    prompt: str | None = None
    chat: tuple[Message, ...] = ()
    embed: str | None = None
    expect: str | None = None
    """A regular expression that the answer has to contain."""
    json: bool = False
    """The answer is asked for as JSON, and has to be some."""
    dimensions: int | None = None
    """How long the vector has to be."""
    options: Mapping[str, ParameterValue] = field(default_factory=dict)
    within: float | None = None
    """Seconds until the whole answer, loading aside; nothing: the limit for loading."""


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
    check: tuple[Check, ...] = ()
    push: bool = False
    """Publish what was made."""
    in_place: bool = False
    """Keep no former content while it is replaced (`replace: in-place`)."""
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
    prune: Prune = Prune.NEVER
    """What is asked of models that neither of them names: the same on every host."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What inventory and manifests ask of every host, in the order of host names."""

    name: str
    hosts: Mapping[HostName, HostDesired]
    policy: Policy = Policy()
    registries: Mapping[str, Registry] | None = None
    """By lower-case name; nothing where the inventory names none, so that any may be used."""
