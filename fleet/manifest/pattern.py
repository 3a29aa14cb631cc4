"""Globs over model names, as `absent`, `protect` and `--model` take them."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from fleet.manifest.faults import Misread, quoted
from fleet.manifest.glob import compiled
from fleet.manifest.inventory import NamePattern
from fleet.names import DEFAULT_NAMESPACE, DEFAULT_REGISTRY, InvalidName, ModelName

_FENCE = "/:"
"""What parts a name; a star or question mark never stands for it."""


def parse_pattern(text: str) -> NamePattern:
    """A name in which `*` and `?` may stand. Raises `Misread` where no name could ever match."""
    plain = re.sub(r"[*?]", "x", text)
    try:
        name = ModelName.parse(plain)
    except InvalidName as error:
        raise Misread(f"{quoted(text)}: no model name can match this", hint=error.hint) from None
    written = _split(text)[3].lower()
    if written in {"local", "cloud"} or written.endswith("-cloud"):
        raise Misread(f"{quoted(text)}: the tag `{name.tag}` is reserved", hint=RESERVED)
    return NamePattern(text)


RESERVED = "servers from 0.18 on read the tags `local`, `cloud` and `*-cloud` as marks and act on another model"


def matches(pattern: str, name: ModelName) -> bool:
    """Whether a name is one of those that the pattern stands for; see `NamePattern` for parts that are not written."""
    registry, namespace, model, tag = _compiled(pattern)
    return bool(
        model.match(name.model)
        and tag.match(name.tag)
        and namespace.match(name.namespace)
        and registry.match(name.registry)
    )


def overlap(one: str, other: str) -> bool:
    """Whether there could be a name that both patterns stand for."""
    return all(_meet(left.lower(), right.lower()) for left, right in zip(_split(one), _split(other), strict=True))


def _meet(left: str, right: str) -> bool:
    """Whether some text is matched by both globs; parts of names are short."""

    @cache
    def from_here(i: int, j: int) -> bool:
        if i == len(left) or j == len(right):
            return not (left[i:] + right[j:]).strip("*")
        one, other = left[i], right[j]
        if one == "*":
            return from_here(i + 1, j) or (other not in _FENCE and from_here(i, j + 1))
        if other == "*":
            return from_here(i, j + 1) or (one not in _FENCE and from_here(i + 1, j))
        same = one == other or (one == "?" and other not in _FENCE) or (other == "?" and one not in _FENCE)
        return same and from_here(i + 1, j + 1)

    return from_here(0, 0)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> tuple[re.Pattern[str], ...]:
    return tuple(compiled(part, fence=_FENCE) for part in _split(pattern))


def _split(pattern: str) -> tuple[str, str, str, str]:
    head, _, last = pattern.rpartition("/")
    model, colon, tag = last.partition(":")
    registry, slash, namespace = head.rpartition("/")
    return (
        registry if slash else DEFAULT_REGISTRY,
        namespace or DEFAULT_NAMESPACE,
        model,
        tag if colon else "*",
    )
