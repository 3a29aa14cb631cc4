"""Values of what one host said, or why it said nothing. Unobserved is never absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.codes import Code
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Version


# Never changed once it is made, but not `frozen`: making one would take four times as long, and there are
# one for each model of each host in each pass.
@dataclass(slots=True, unsafe_hash=True)
class Present:
    """One model that the host lists."""

    name: ModelName
    listed: str
    """The spelling that the host uses, and the only one to use towards it."""
    digest: Digest
    size: int
    """Bytes of all layers, shared ones included."""
    remote: bool = False
    """A cloud stub: no weights here."""
    kind: tuple[str, str, str] = ("", "", "")
    """Family, parameter size and quantization: models that differ in these cannot share weights."""


@dataclass(frozen=True, slots=True)
class Content:
    """What `/api/show` proves of one model (`ollama-api.md` 5)."""

    weights: frozenset[Digest]
    """Blobs of its FROM and ADAPTER lines; empty where the server names none (tensor models)."""
    template: str
    system: str
    parameters: Mapping[str, tuple[str | float | bool | None, ...]] = field(default_factory=dict)
    messages: tuple[tuple[str, str], ...] = ()
    license: str = ""
    """All licences joined by newlines, as the server does."""
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    parent: str = ""
    """The display name of the base at build time, where the server remembers it: a hint, no proof."""
    architecture: str = ""
    context_length: int | None = None
    """The model's own maximum."""
    embeds_only: bool = False
    quantization: str = ""
    """The level of the weights, as `Q4_K_M`."""
    adapters: frozenset[Digest] = frozenset()
    """Blobs of its ADAPTER lines, which are among `weights`."""
    drafts: frozenset[Digest] = frozenset()
    """Blobs of its DRAFT lines."""


@dataclass(frozen=True, slots=True)
class Runner:
    """One model in the host's memory; it stands for all names with the same weights."""

    listed: str
    """The name that loaded it first."""
    digest: Digest | None
    """Of the image manifest at the time of loading."""
    size: int
    size_vram: int
    expires_at: datetime | None
    context_length: int | None
    """Nothing before 0.10.0."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What one host said in one observation."""

    host: HostName
    version: Version
    models: Mapping[ModelName, Present]
    runners: tuple[Runner, ...] = ()
    contents: Mapping[ModelName, Content | None] = field(default_factory=dict)
    """For the models that were asked for; nothing where the model is listed but not whole."""
    collisions: tuple[tuple[Present, Present], ...] = ()
    """Pairs of listed models with one name in two spellings; neither is in `models`."""
    unreadable: frozenset[ModelName] = frozenset()
    """Names that are listed with something that is no digest: there, but not known as what; never acted on."""
    invalid: tuple[str, ...] = ()
    """Listed names that are none, cleaned; never acted on."""
    at: datetime | None = None
    blobs: Mapping[Digest, bool] = field(default_factory=dict)
    """Whether the host has a blob, for those that were asked for."""
    modified: Mapping[ModelName, str] = field(default_factory=dict)
    """When each model was written there, in the server's words: for people, and no evidence of change (4.2)."""

    def by_digest(self, digest: Digest | None) -> tuple[Present, ...]:
        """The listed models with that content, sorted by name."""
        return tuple(sorted((m for m in self.models.values() if m.digest == digest), key=lambda m: m.name.key))


@dataclass(frozen=True, slots=True)
class Unobserved:
    """Why a host said nothing that can be used."""

    host: HostName
    code: Code
    message: str
    hint: str | None = None
    told: str | None = None


Observation = Observed | Unobserved
