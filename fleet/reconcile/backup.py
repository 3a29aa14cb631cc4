"""The names under which former contents are kept while they are replaced (`design.md` 8). Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from fleet.names import DEFAULT_REGISTRY, DEFAULT_TAG, Digest, ModelName

NAMESPACE = "fleet-backup"
_LONGEST = 80
_TOLD_APART = 12
_PENDING = "pending-"


@lru_cache(maxsize=65536)
def backup_of(name: ModelName) -> ModelName:
    """`fleet-backup/<model>-<12 hex of the full name>`, the model cut to what a name may have."""
    mark = hashlib.sha256(name.key.encode()).hexdigest()[:_TOLD_APART]
    model = name.model[: _LONGEST - _TOLD_APART - 1]
    return ModelName(DEFAULT_REGISTRY, NAMESPACE, f"{model}-{mark}", DEFAULT_TAG)


def pending_of(name: ModelName, accepted: frozenset[Digest]) -> ModelName:
    """The mark of a name that was free before only `accepted` was to be pulled under it: no name that a host lists."""
    mark = hashlib.sha256(" ".join(sorted(digest.hex for digest in accepted)).encode()).hexdigest()[:_TOLD_APART]
    return ModelName(f"{_PENDING}{mark}.{name.registry}", name.namespace, name.model, name.tag)


def pending(mark: ModelName) -> ModelName | None:
    """The name that such a mark is about; nothing for any other name."""
    if not mark.registry.startswith(_PENDING):
        return None
    return ModelName(mark.registry.partition(".")[2], mark.namespace, mark.model, mark.tag)


def is_backup(name: ModelName) -> bool:
    """Whether the name is kept for fleet's own use."""
    return name.namespace.lower() == NAMESPACE and name.registry.lower() == DEFAULT_REGISTRY
