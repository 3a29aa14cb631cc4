"""What documents say, typed and with places, before it is worked out for each host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.manifest.faults import Misread
from fleet.manifest.inventory import Host, NamePattern, Place, Policy, Registry
from fleet.manifest.modelfile import Modelfile
from fleet.manifest.record import Given
from fleet.manifest.selector import Selector
from fleet.names import Digest, HostName, ModelName
from fleet.weights.local import LocalFile

Gives = Mapping[str, Given[Any]]
"""What an entry or an override sets, by dotted key (`create.parameters.seed`), so that merging is one step."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file or folder that an entry names. `path` may hold keys of the host in braces; it starts from `folder`."""

    folder: str
    path: str
    place: Place


@dataclass(frozen=True, slots=True)
class FileText(NamedFile):
    """A text that is in a file."""


@dataclass(frozen=True, slots=True)
class FileModelfile(NamedFile):
    """A Modelfile, which says what the fields of `create` would say."""


@dataclass(frozen=True, slots=True)
class FileWeights(NamedFile):
    """A GGUF, or a folder with safetensors; `sha256` is what the file must be."""

    sha256: Digest | None = None


At = tuple[str, str]
"""A folder, and a path that starts from it, its braces filled."""
Texts = Mapping[At, str | Misread]
"""What stands there, or why it cannot be had: a fault only for a host that wants it."""
Modelfiles = Mapping[At, Modelfile | Misread]


@dataclass(frozen=True, slots=True)
class Lying:
    """What was found at the path of weights: one file, or those of a folder."""

    files: tuple[LocalFile, ...]
    folder: bool = False


Weights = Mapping[At, Lying | Misread | None]
"""Nothing where there is neither file nor folder."""


@dataclass(frozen=True, slots=True)
class Where:
    """A selector where it was written; `path` are the keys that lead to it."""

    selector: Selector
    place: Place
    path: str


@dataclass(frozen=True, slots=True)
class Override:
    """What holds for some of an entry's hosts instead."""

    where: Where
    gives: Gives
    place: Place
    path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `models`: of a name, or of all names that a glob matches. `within` is its document's selector."""

    name: ModelName | None
    pattern: NamePattern | None
    place: Place
    path: str
    gives: Gives
    within: Where | None = None
    where: Where | None = None
    allow_empty: bool = False
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Inventory and manifests as read, all of them sound one by one."""

    name: str
    hosts: Mapping[HostName, Host]
    """All hosts of the inventory, in the order of their names."""
    entries: tuple[Entry, ...]
    policy: Policy = field(default_factory=Policy)
    registries: Mapping[str, Registry] | None = None
    texts: Texts = field(default_factory=dict)
    modelfiles: Modelfiles = field(default_factory=dict)
    weights: Weights = field(default_factory=dict)
    self_name: HostName | None = None
    """The host that this machine is, where that was said: then nothing is asked of the others."""
    partial: bool = False
    """Whether other hosts exist that are not known here, so that a selector may rightly match none."""
    notes: tuple[str, ...] = ()
    """What the user should know besides."""


def host_keys(host: Host) -> dict[str, str]:
    """What may stand between braces in a path: the host's labels, `name` and `group`."""
    return {**host.labels, "name": str(host.name), **({"group": host.group} if host.group else {})}


def files_in(gives: Gives) -> Iterator[NamedFile]:
    """The files that these values name."""
    for given in gives.values():
        for value in given.value if isinstance(given.value, tuple) else (given.value,):
            if isinstance(value, NamedFile):
                yield value
