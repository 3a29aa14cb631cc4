"""Names as the oracle reads them: a reader of its own, so that it does not share the product's mistakes."""

from __future__ import annotations

from fnmatch import fnmatchcase

_REGISTRY, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"


def full(name: str) -> str:
    """`registry/namespace/model:tag`, in lower case, with what was left out."""
    *before, last = name.lower().split("/")
    model, _, tag = last.partition(":")
    registry, namespace = [*[_REGISTRY, _NAMESPACE][: 2 - len(before)], *before]
    return f"{registry}/{namespace}/{model}:{tag or _TAG}"


def is_backup(name: str) -> bool:
    """Whether it is one of fleet's own, for the time of a replacement."""
    return full(name).split("/")[:2] == [_REGISTRY, "fleet-backup"]


def meant(pattern: str, name: str) -> bool:
    """Whether a pattern of a manifest is about a name: what it leaves out are the defaults, but for the tag."""
    *before, last = pattern.lower().split("/")
    model, colon, tag = last.partition(":")
    registry, namespace = [*[_REGISTRY, _NAMESPACE][: 2 - len(before)], *before]
    parts = full(name).split("/")
    wanted = [registry, namespace, f"{model}:{tag}" if colon else f"{model}:*"]
    if not colon and "*" not in last:
        wanted[-1] = f"{model}:{_TAG}"
    return all(fnmatchcase(part, glob) for part, glob in zip(parts, wanted, strict=True))
