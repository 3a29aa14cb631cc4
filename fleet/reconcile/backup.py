"""The names under which former contents are kept while they are replaced (`design.md` 8). Pure."""

from __future__ import annotations

import hashlib

from fleet.names import DEFAULT_REGISTRY, DEFAULT_TAG, ModelName

NAMESPACE = "fleet-backup"
_LONGEST = 80
_TOLD_APART = 12


def backup_of(name: ModelName) -> ModelName:
    """`fleet-backup/<model>-<12 hex of the full name>`, the model cut to what a name may have."""
    mark = hashlib.sha256(name.key.encode()).hexdigest()[:_TOLD_APART]
    model = name.model[: _LONGEST - _TOLD_APART - 1]
    return ModelName(DEFAULT_REGISTRY, NAMESPACE, f"{model}-{mark}", DEFAULT_TAG)


def is_backup(name: ModelName) -> bool:
    """Whether the name is kept for fleet's own use."""
    return name.registry.lower() == DEFAULT_REGISTRY and name.namespace.lower() == NAMESPACE
