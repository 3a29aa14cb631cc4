"""Values of the operator's part of the desired state: hosts, registries, policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.names import HostName, ModelName


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written: a file as the user named it, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a credential is to be read from, at each use anew: a file or an environment variable, never a value."""

    file: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """One of three ways to prove oneself to a proxy: bearer token, basic, or a header of a chosen name."""

    kind: str
    """`bearer`, `basic` or `header`."""
    secret: Secret
    username: str | None = None
    header: str | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a host can hold; nothing where the inventory does not say."""

    disk: int | None = None
    """Bytes for models in all."""
    vram: int | None = None
    """Bytes."""
    loaded: int | None = None
    """Models in memory at once."""


@dataclass(frozen=True, slots=True)
class Host:
    """One Ollama server as the inventory describes it, its group's part merged in."""

    name: HostName
    url: str
    """As written; `fleet.endpoint` reads it by the rules of OLLAMA_HOST."""
    place: Place
    group: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    auth: Auth | None = None
    tls: Tls | None = None
    capacity: Capacity = Capacity()
    suspended: str | None = None
    """Why it is only observed; the empty string where no reason was given, nothing where it is in service."""
    ephemeral: bool = False
    """Whether it may rightly lose all its models between two passes."""
    marker: ModelName | None = None
    """The model that only this machine lists: one that does not is another machine, and not changed."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that models may be pulled from."""

    name: str
    insecure: bool = False
    """Plain HTTP instead of HTTPS."""
    mirror: str | None = None
    """The registry, `HOST` or `HOST:PORT`, that hosts pull from in place of this one."""
    url: str | None = None
    """Where fleet itself asks this registry, as `http://127.0.0.1:5000`; nothing: at its name."""


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A glob over model names: `*` and `?` within a part; what is not written matches any tag, the namespace
    `library` and the default registry. It never crosses `/` or `:`. Compared case-insensitively.
    """

    text: str


class Update(StrEnum):
    """When a pulled name counts as current: it is there, it is what the lock file says, or what its registry serves."""

    MISSING = "missing"
    LOCKED = "locked"
    ALWAYS = "always"


class Prune(StrEnum):
    """Which models go that nobody declares: none, those that fleet put there and nobody changed since, or all."""

    NEVER = "never"
    OWNED = "owned"
    UNDECLARED = "undeclared"


@dataclass(frozen=True, slots=True)
class Policy:
    protect: tuple[NamePattern, ...] = ()
    max_deletes: int = 5
    """Per host and pass."""
    update: Update = Update.MISSING
    """What a pull without `update` of its own follows."""
    prune: Prune = Prune.NEVER
