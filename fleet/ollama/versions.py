"""Which Ollama a host runs, and what follows from it (`ollama-api.md` 2 and 14).

Pure: a version is parsed once from what `/api/version` said; every decision by version is a `Capability` here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from fleet.foreign import clean

_VERSION = re.compile(r"v?([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})(?![0-9.])")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """`MAJOR.MINOR.PATCH`; compared by these alone.

    Of a version that is not known, the numbers are what probes proved it to be at least: 0.0.0 without any.
    """

    major: int
    minor: int
    patch: int
    text: str = field(default="", compare=False)
    """As the server said it, cleaned for display."""
    known: bool = field(default=True, compare=False)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Release candidates and git-describe builds count as their release; `0.0.0` and nonsense are not known."""
        shown = clean(text, limit=64)
        match = _VERSION.match(text)
        numbers = (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)
        return cls(*numbers, text=shown, known=numbers != (0, 0, 0))

    def proven(self, major: int, minor: int, patch: int) -> Version:
        """The same unknown version, known by a probe to be at least this one; a known version stays as it is."""
        if self.known or (self.major, self.minor, self.patch) >= (major, minor, patch):
            return self
        return Version(major, minor, patch, text=self.text, known=False)

    def __str__(self) -> str:
        return self.text or f"{self.major}.{self.minor}.{self.patch}"


class Bound(NamedTuple):
    """From which release on, and before which one, something holds; and what to take for granted when in doubt."""

    about: str
    section: str
    """Of `ollama-api.md`."""
    since: tuple[int, int, int] | None = None
    until: tuple[int, int, int] | None = None
    """The first release without it."""
    assumed: bool = False
    """Whether a server of unknown version must be expected to do it, whatever was proven of it."""


class Capability(Enum):
    """What differs between releases and matters to a client."""

    CREATE_MODELFILE = Bound("create takes a Modelfile", "7.1", until=(0, 5, 5))
    CREATE_FIELDS = Bound("create takes `from`, `files` and fields", "7.1", since=(0, 5, 5))
    RENDERER = Bound("`renderer` and `parser` in create and in the shown Modelfile", "7.1", since=(0, 12, 0))
    RENDERER_INHERITED = Bound("`renderer` and `parser` come from the base", "7.3", since=(0, 12, 7))
    REQUIRES = Bound("`requires` in create and show", "7.1", since=(0, 14, 0))
    DRAFT = Bound("draft models in create", "7.1", since=(0, 30, 0))
    SPLIT_GGUF = Bound("the pieces of a split GGUF are merged", "7.5", since=(0, 30, 0))
    NESTED_FILES = Bound("files of a create keep their folders, before base names only", "7.5", since=(0, 30, 0))
    QUANTIZE_SHORT = Bound("few levels of quantization, before llama.cpp's list", "7.6", since=(0, 7, 0))
    QUANTIZE_BF16 = Bound("BF16 can be quantized", "7.6", since=(0, 22, 1))
    EMBED_LOADS = Bound("`/api/embed` with empty input loads", "12.1", since=(0, 3, 6))
    UNLOAD_DIRECT = Bound("`keep_alive: 0` unloads without loading first", "12.2", since=(0, 3, 11))
    DELETE_MISSING_IS_404 = Bound("deleting a missing model is 404, before 500", "9.2", since=(0, 3, 13))
    CASE_INSENSITIVE_WRITE = Bound("pull, push, copy and create ignore case", "3.3", since=(0, 4, 3))
    CASE_INSENSITIVE_READ = Bound("show, delete, generate, chat and embed ignore case", "3.3", since=(0, 5, 2))
    SHOW_CAPABILITIES = Bound("`capabilities` in show", "5.2", since=(0, 6, 4))
    LAST_STATUS_COUNTS = Bound("a reply without streaming is the last status", "1.3", since=(0, 7, 0))
    WRONG_METHOD_IS_405 = Bound("a wrong method is 405, before 404", "1.5", since=(0, 7, 0))
    PS_CONTEXT = Bound("`context_length` in ps", "11", since=(0, 10, 0))
    PS_CONTEXT_EFFECTIVE = Bound("it is the context in effect, not the one configured", "11", since=(0, 15, 5))
    REMOTE_STUBS = Bound("cloud stubs among the models", "4", since=(0, 12, 0), assumed=True)
    CREATE_DESTROYS = Bound(
        "create from a base that cannot be had writes a model without weights and says success",
        "7.7",
        since=(0, 5, 5),
        until=(0, 12, 6),
        assumed=True,
    )
    STREAM_ERRORS_AS_STATUS = Bound("a first error is an HTTP status; a stream ends at its error", "1.3", (0, 12, 6))
    MARKER_TAGS = Bound("`:local`, `:cloud` and `-cloud` are markers", "3.4", since=(0, 18, 0), assumed=True)
    PULL_KEEPS_BYTES = Bound("a pulled manifest is stored as received", "4.2", since=(0, 19, 0))
    PRUNE_SPARES_YOUNG = Bound("a start prunes only blobs older than an hour", "6.1", since=(0, 21, 0))
    TAGS_DETAILED = Bound("tags tell capabilities, context and parent", "4", since=(0, 30, 0))
    TEMPLATE_MAY_BE_JINJA = Bound("show's `template` may be the file's own", "5.2", since=(0, 30, 0), assumed=True)
    IMPORT_REWRITTEN = Bound("an imported GGUF is rewritten", "7.5", since=(0, 30, 0), assumed=True)


def has(version: Version, capability: Capability) -> bool:
    """Whether a server of this version does it.

    An unknown version does what is to be feared and what a probe proved, nothing else (`ollama-api.md` 14, end).
    """
    bound = capability.value
    if not version.known and bound.assumed:
        return True
    numbers = (version.major, version.minor, version.patch)
    if not version.known and bound.until is not None and bound.since is None:
        return numbers > (0, 0, 0) and numbers < bound.until
    return (bound.since is None or numbers >= bound.since) and (bound.until is None or numbers < bound.until)
