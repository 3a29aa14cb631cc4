"""Names of models, contents and hosts: parsed once at the border, compared and shown as Ollama does.

Grammar, defaults and display follow `ollama-api.md` 3.1 and 3.2; the bare and the prefixed form of a digest
are both in use on the wire (15, rule 11) and are one value here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

DEFAULT_REGISTRY = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_REGISTRY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}\Z")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}\Z")
_LONGEST_MESSAGE = 1000
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")


class InvalidName(ValueError):
    """A text that is no name. The message says why; `hint` says what to write instead, where that is known."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(_safe(message))
        self.hint = hint and _safe(hint)


def _safe(message: str) -> str:
    """With what others wrote in it as it may be shown; a name can be as long as a file."""
    short = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"
    return short if short.isprintable() else ascii(short)[1:-1]


@dataclass(frozen=True, slots=True, eq=False)
class ModelName:
    """`[registry/][namespace/]model[:tag]` with Ollama's defaults filled in.

    Spelling is kept, comparison ignores case (`ollama-api.md` 3.3): `llama3`, `Llama3:latest` and
    `registry.ollama.ai/library/llama3:latest` are one name.
    """

    registry: str
    namespace: str
    model: str
    tag: str
    key: str = field(init=False, repr=False)
    """What names are compared and sorted by: the full name in lower case."""
    _hash: int = field(init=False, repr=False)
    """Kept, since a plan for many hosts looks names up a million times."""

    def __post_init__(self) -> None:
        key = f"{self.registry}/{self.namespace}/{self.model}:{self.tag}".lower()
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "_hash", hash(key))

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Reads a name in any of its forms. Raises `InvalidName`."""
        return _parse(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelName) and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: ModelName) -> bool:
        return self.key < other.key

    def __str__(self) -> str:
        """Ollama's short form: the default registry hidden, with it the default namespace; the tag always shown."""
        if self.registry.lower() != DEFAULT_REGISTRY:
            return f"{self.registry}/{self.namespace}/{self.model}:{self.tag}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def reserved(self) -> bool:
        """Whether servers ≥0.18 read the tag as a marker and act on another model (`ollama-api.md` 3.4)."""
        tag = self.tag.lower()
        return tag in {"local", "cloud"} or tag.endswith("-cloud")


@lru_cache(maxsize=65536)
def _parse(text: str) -> ModelName:
    if "@" in text:
        name, _, digest = text.partition("@")
        pin = digest if _DIGEST.match(digest) else "sha256:…"
        raise InvalidName(
            f"`{text}`: a digest is no part of a model name",
            hint=f'write `{name}` with `pull: {{pin: "{pin}"}}`' if name else None,
        )
    if "://" in text:
        raise InvalidName(f"`{text}`: a model name has no scheme", hint=f"write `{text.partition('://')[2]}`")
    head, slash, last = text.rpartition("/")
    model, colon, tag = last.partition(":")
    parts = head.split("/") if slash else []
    if len(parts) > 2:
        raise InvalidName(f"`{text}`: more than three parts between slashes")
    registry, namespace = [*[DEFAULT_REGISTRY, DEFAULT_NAMESPACE][: 2 - len(parts)], *parts]
    tag = tag if colon else DEFAULT_TAG
    if not _PART.match(model):
        raise InvalidName(f"`{text}`: `{model}` is no model name (letters, digits, `_`, `-`, `.`; at most 80)")
    if not _PART.match(tag):
        raise InvalidName(f"`{text}`: `{tag}` is no tag (letters, digits, `_`, `-`, `.`; at most 80)")
    if not _NAMESPACE.match(namespace):
        two = len(parts) == 1 and _REGISTRY.match(namespace)
        raise InvalidName(
            f"`{text}`: `{namespace}` is no namespace (letters, digits, `_`, `-`; at most 80)",
            hint=f"a name with a registry has three parts: `{namespace}/NAMESPACE/{last}`" if two else None,
        )
    if not _REGISTRY.match(registry):
        raise InvalidName(f"`{text}`: `{registry}` is no registry host")
    return ModelName(registry, namespace, model, tag)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256, read with or without the prefix `sha256:`. `hex` is its 64 lower-case digits."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Raises `InvalidName` for anything but 64 lower-case hex digits, prefixed or bare."""
        return _parse_digest(text)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """Twelve digits, as Ollama shows them."""
        return self.hex[:12]


@lru_cache(maxsize=65536)
def _parse_digest(text: str) -> Digest:
    match = _DIGEST.match(text)
    if not match:
        raise InvalidName(f"`{text[:80]}` is no digest (`sha256:` and 64 lower-case hex digits)")
    return Digest(match[1])


class HostName(str):
    """What the inventory calls a host: letters, digits, `_`, `-`, `.`; at most 253."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> HostName:
        """Raises `InvalidName`."""
        if not _HOST.match(text):
            raise InvalidName(f"`{text[:80]}` is no host name (letters, digits, `_`, `-`, `.`; at most 253)")
        return cls(text)
