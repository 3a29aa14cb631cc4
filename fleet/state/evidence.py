"""Values of what fleet recorded about its own verified work on a host: a record, not the truth (`design.md` 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.names import Digest, HostName


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a created model came about on one host, once a look had proven it there."""

    inputs: Mapping[str, str]
    """What it was made from, by field: values as text, sensitive texts as hash and size alone."""
    fingerprint: str
    """Of the inputs; another one says that it has to be made anew."""
    digest: Digest
    """What the host listed afterwards."""
    base: Digest | None
    """What the base was listed with; nothing for a model made from files."""
    base_content: str | None
    """SHA-256 over what the host showed of the base, so that a digest which moved alone is no change."""
    weights: frozenset[Digest]
    """The blobs that the host showed of the result; empty where it names none."""
    version: str
    """Of the server, in its words."""
    at: datetime
    revision: str
    """Of the manifests that asked for it."""
    adopted: bool = False
    """It was there as it is, and not made by fleet."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of asking a model the questions of its entry."""

    digest: Digest
    """The content that was asked."""
    questions: str
    """SHA-256 over the questions."""
    passed: bool
    told: str
    """Why it failed, cleaned; empty where it passed."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Pushed:
    """What fleet published of a model."""

    host: HostName
    """From where."""
    digest: Digest
    """What that host listed."""
    published: Digest
    """What the registry served afterwards."""
    fingerprint: str
    """Of the inputs that it was made from."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """What fleet put under a name on a host: a pull, a create or a copy whose result a look had proven."""

    digest: Digest
    """What the host listed afterwards."""
    owned: bool
    """Whether the name was free before, or `fleet adopt` took it over: only then may fleet take it away again."""
    at: datetime
    undone: int = 0
    """How often somebody else changed or deleted it since fleet made it first."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A pull, create or copy that was begun on a host, and of which no end is known yet (`reliability.md` B.4)."""

    action: str
    former: Digest | None
    """What the name held before; nothing where it was free."""
    since: datetime
    """When it was begun, or when fleet was at it last: renewed while it runs, and when it is left."""
    again: bool = False
    """Whether it had been left before, and this is the try to follow it to its end."""
