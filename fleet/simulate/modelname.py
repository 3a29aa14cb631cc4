"""Model names as a server reads them: parsed from the right, never refused while parsing, case kept.

fleet's own `ModelName` refuses what it should not send; a server must answer whatever it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_ALPHA = "[A-Za-z0-9_]"
_PARTS = (
    re.compile(rf"{_ALPHA}[A-Za-z0-9_.:-]{{0,349}}\Z"),
    re.compile(rf"{_ALPHA}[A-Za-z0-9_-]{{0,79}}\Z"),
    re.compile(rf"{_ALPHA}[A-Za-z0-9_.-]{{0,79}}\Z"),
    re.compile(rf"{_ALPHA}[A-Za-z0-9_.-]{{0,79}}\Z"),
)
_HOST = "registry.ollama.ai"
_NAMESPACE = "library"
_MISSING = "!MISSING!"
"""What stands for a part that a separator promised: it makes the name invalid."""


class Name(NamedTuple):
    """A name with the defaults filled in; it may be invalid."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Name:
        host = namespace = tag = ""
        if text.rfind(":") > text.rfind("/"):
            text, tag = _cut(text, ":")
        rest, slash, _ = text.rpartition("/")
        if not slash:
            return cls(_HOST, _NAMESPACE, text, tag or "latest")
        rest, model = _cut(text, "/")
        if "/" in rest:
            host, namespace = _cut(rest, "/")
            host = host.partition("://")[2] or host
        else:
            namespace = rest
        return cls(host or _HOST, namespace or _NAMESPACE, model, tag or "latest")

    @property
    def valid(self) -> bool:
        return all(pattern.match(part) for pattern, part in zip(_PARTS, self, strict=True))

    @property
    def path(self) -> str:
        """Where its manifest lies, below the folder of manifests."""
        return "/".join(self)

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def repository(self) -> str:
        """What a registry calls the model."""
        return f"{self.namespace}/{self.model}"

    def __str__(self) -> str:
        """The display form: default host and with it default namespace hidden, the tag always shown."""
        if self.host.lower() != _HOST:
            return self.full
        if self.namespace.lower() != _NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    def folded(self, installed: Iterable[Name]) -> Name:
        """Each part in the spelling of an installed name's part that differs only in case (`ollama-api.md` 3.3).

        Where several spellings are installed a server picks any; here the last one installed counts.
        """
        name = self
        for other in installed:
            parts = (mine if mine.lower() != its.lower() else its for mine, its in zip(name, other, strict=True))
            name = Name(*parts)
        return name


def _cut(text: str, separator: str) -> tuple[str, str]:
    """Both sides of the last separator; an empty side is marked as missing."""
    before, _, after = text.rpartition(separator)
    return before or _MISSING, after or _MISSING


class ConflictingMarkersError(ValueError):
    """A name ends in two source markers."""


class Reference(NamedTuple):
    """A name as given to a server that knows source markers (`ollama-api.md` 3.4)."""

    base: str
    source: str  # "", "local" or "cloud"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises `ConflictingMarkersError`."""
        text = text.strip()
        reference = cls._split(text)
        if reference.source and cls._split(reference.base).source:
            raise ConflictingMarkersError(f'use either :local or :cloud, not both: "{text}"')
        return reference

    @classmethod
    def _split(cls, text: str) -> Reference:
        before, colon, suffix = text.rpartition(":")
        marker = suffix.strip().lower()
        if colon and marker in {"cloud", "local"}:
            return cls(before, marker)
        if colon and "/" not in suffix and marker.endswith("-cloud"):
            return cls(f"{before}:{suffix.strip()[: -len('-cloud')]}", "cloud")
        return cls(text, "")

    @property
    def pulled(self) -> str:
        """The name that pull and delete act on: cloud models keep their older spelling."""
        if self.source != "cloud":
            return self.base
        tagged = self.base.rfind(":") > self.base.rfind("/")
        return f"{self.base}{'-cloud' if tagged else ':cloud'}"
