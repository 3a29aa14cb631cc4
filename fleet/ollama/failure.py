"""What a host's words of failure mean: a stable code, and what waiting would do (`reliability.md` B.5, C.0.3).

Pure. Texts are matched after cleaning; they choose between `later` and `stuck`, never anything that destroys.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from fleet.codes import Code
from fleet.errors import HostAnswered
from fleet.ollama.foreign import clean

__all__ = ["Doing", "Kind", "ModelMissing", "Verdict", "classify", "clean"]


class Doing(StrEnum):
    """What was asked for when the failure came; the same words mean different things."""

    OBSERVE = "observe"
    SHOW = "show"
    PULL = "pull"
    PUSH = "push"
    CREATE = "create"
    COPY = "copy"
    DELETE = "delete"
    UPLOAD = "upload"
    RUN = "run"
    """Load, unload, generate, chat and embed."""


class Kind(StrEnum):
    """What helps: the classes of `reliability.md` C.0.3."""

    PERMANENT = "permanent"
    """Nothing, until what was asked for changes."""
    CREDENTIALS = "credentials"
    VERSION = "version"
    """Another release of the server, or of the request."""
    TRANSIENT = "transient"
    """Waiting."""
    RESUME = "resume"
    """Asking again at once: the transfer goes on where it stopped."""
    STALLED = "stalled"
    """A person's look, or a restart of the server."""
    DISK = "disk"
    MEMORY = "memory"
    REPLAN = "replan"
    """A new look: what the request presumed is not so."""
    UNKNOWN = "unknown"
    """A new look first, then as transient."""


class Verdict(NamedTuple):
    code: Code
    kind: Kind


class ModelMissing(HostAnswered):
    """The host has no such model, or lacks a part of it."""


_REGISTRY = frozenset({Doing.PULL, Doing.PUSH, Doing.CREATE})
_RUN = frozenset({Doing.RUN})
_CREATE = frozenset({Doing.CREATE})
_ANY = frozenset(Doing)

_REFUSED = Code.SERVER_REFUSED
_PERMANENT = Kind.PERMANENT

_TEXTS: tuple[tuple[frozenset[Doing], str, Code, Kind], ...] = (
    (_ANY, r"no space left on device", Code.DISK_FULL, Kind.DISK),
    (_ANY, r"\Ainvalid model (?:path|name)|does not support (?:embeddings|generate|chat)", _REFUSED, _PERMANENT),
    (_REGISTRY, r"\Apull model manifest: file does not exist", Code.NOT_IN_REGISTRY, Kind.PERMANENT),
    (_REGISTRY, r"newer version of ollama|\Apull model manifest: 412\b", Code.NEWER_SERVER_NEEDED, Kind.VERSION),
    (
        _REGISTRY,
        r"\Apull model manifest: 40[13]\b|unauthorized\b|access denied|realm host ",
        Code.REGISTRY_UNAUTHORIZED,
        Kind.CREDENTIALS,
    ),
    (_REGISTRY, r"file must be downloaded again", Code.DIGEST_MISMATCH, Kind.TRANSIENT),
    (_REGISTRY, r"no location header", Code.REGISTRY_WITHOUT_REDIRECT, Kind.PERMANENT),
    (_REGISTRY, r"requires mlx support|insecure protocol http", _REFUSED, _PERMANENT),
    (_REGISTRY, r"server gave http response to https client", _REFUSED, _PERMANENT),
    (_REGISTRY, r"\Apull model manifest: (?:429|5[0-9]{2})\b|<html", Code.REGISTRY_TROUBLE, Kind.TRANSIENT),
    # A bare EOF comes from part files that a full disk damaged; asking again does not mend them.
    (_REGISTRY, r"\Aeof\Z", Code.ERROR_LINE, Kind.STALLED),
    (
        frozenset({Doing.PULL, Doing.PUSH}),
        (
            r"max retries exceeded|unexpected eof|: eof\Z|connection re(?:set|fused)|broken pipe|i/o timeout"
            r"|server misbehaving|no such host|dial tcp|tls handshake timeout|network is unreachable|no route to host"
            r"|context deadline exceeded|stream error|temporary failure"
        ),
        Code.REGISTRY_TROUBLE,
        Kind.RESUME,
    ),
    (
        _CREATE,
        r"\Apull model manifest: |\A(?:get|head) \"https?://",
        Code.SOURCE_NOT_THERE,
        Kind.REPLAN,
    ),
    (
        _CREATE,
        r"neither 'from' or 'files' was specified|path or modelfile are required",
        Code.SERVER_REFUSED,
        Kind.VERSION,
    ),
    (_CREATE, r"sha256-[0-9a-f]{64}: no such file or directory", Code.ERROR_LINE, Kind.REPLAN),
    (
        _CREATE,
        (
            r"quantization is only supported|unsupported quantization type|unknown filetype|unknown type|template error"
            r"|unknown parameter|invalid (?:float|int|bool) value|not in gguf format|file path must be relative"
            r"|only one adapter|unsupported content type|no files provided|invalid digest format|invalid model"
        ),
        _REFUSED,
        _PERMANENT,
    ),
    (frozenset({Doing.UPLOAD}), r"digest mismatch", Code.DIGEST_MISMATCH, Kind.REPLAN),
    (
        _RUN,
        (
            r"requires more system memory|out of memory|insufficient memory|cudamalloc|unable to allocate"
            r"|failed to allocate|cannot allocate"
        ),
        Code.OUT_OF_MEMORY,
        Kind.MEMORY,
    ),
    (_RUN, r"option \".*\" must be of type|invalid option", Code.LOAD_FAILED, Kind.PERMANENT),
    (_RUN, r"server busy", Code.BUSY, Kind.TRANSIENT),
    (_RUN, r"timed out waiting for|runner process|error loading model|unable to load", Code.LOAD_FAILED, Kind.UNKNOWN),
)
_PATTERNS = tuple((doing, re.compile(text, re.IGNORECASE), code, kind) for doing, text, code, kind in _TEXTS)


def classify(text: str, *, status: int, doing: Doing) -> Verdict:
    """Judges the `error` text of a reply with this status; 200 for an error line, or what the line itself says."""
    text = clean(text, limit=4096)
    for concerned, pattern, code, kind in _PATTERNS:
        if doing in concerned and pattern.search(text):
            return Verdict(code, kind)
    return _by_status(text, status, doing)


def _by_status(text: str, status: int, doing: Doing) -> Verdict:
    if 300 <= status < 400:
        return Verdict(Code.REDIRECTED, Kind.PERMANENT)
    if status in {429, 503}:
        return Verdict(Code.BUSY, Kind.TRANSIENT)
    if status in {401, 407} or (status == 403 and text):
        return Verdict(Code.UNAUTHORIZED, Kind.CREDENTIALS)
    if status == 403:
        return Verdict(Code.ORIGIN_REFUSED, Kind.PERMANENT)
    if status == 404:
        return Verdict(Code.SERVER_REFUSED, Kind.REPLAN)
    if status == 408:
        return Verdict(Code.BUSY, Kind.TRANSIENT)
    if 400 <= status < 500:
        return Verdict(_REFUSED, _PERMANENT)
    if doing is Doing.RUN and status == 500 and text:
        return Verdict(Code.LOAD_FAILED, Kind.UNKNOWN)
    if doing in {Doing.PULL, Doing.PUSH, Doing.CREATE} and text:
        # The same failure is a line under 200 or, from 0.12.6 on, a status: one code for both.
        return Verdict(Code.ERROR_LINE, Kind.UNKNOWN)
    if status >= 500:
        return Verdict(Code.SERVER_ERROR, Kind.TRANSIENT)
    return Verdict(Code.ERROR_LINE, Kind.UNKNOWN)
