"""What a host's words of failure mean: a stable code, which tells what waiting would do (`reliability.md` B.5, C.0.3).

Pure. Texts are matched after cleaning; they choose a code, never anything that destroys.
"""

from __future__ import annotations

import re
from enum import StrEnum

from fleet.codes import Code
from fleet.errors import HostAnswered
from fleet.foreign import clean
from fleet.names import Digest


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


class ModelMissing(HostAnswered):
    """The host has no such model, or lacks a part of it."""


_REGISTRY = frozenset({Doing.PULL, Doing.PUSH, Doing.CREATE})
_RUN = frozenset({Doing.RUN})
_CREATE = frozenset({Doing.CREATE})
_CHANGES = frozenset({Doing.PULL, Doing.CREATE, Doing.COPY, Doing.DELETE, Doing.UPLOAD})
_ANY = frozenset(Doing)
_VANISHED = r"\bsha256-([0-9a-f]{64}): (?:no such file or directory|the system cannot find the file specified)"

_TEXTS: tuple[tuple[frozenset[Doing], str, Code], ...] = (
    (_ANY, r"no space left on device", Code.DISK_FULL),
    (_CHANGES, r"permission denied|read-only file system|\baccess is denied", Code.MODELS_NOT_WRITABLE),
    (_ANY, r"\Ainvalid model (?:path|name)|does not support (?:embeddings|generate|chat)", Code.SERVER_REFUSED),
    (_REGISTRY, r"\Apull model manifest: file does not exist", Code.NOT_IN_REGISTRY),
    (_REGISTRY, r"newer version of ollama|\Apull model manifest: 412\b", Code.NEWER_SERVER_NEEDED),
    (
        _REGISTRY,
        r"\Apull model manifest: 40[13]\b|unauthorized\b|access denied|realm host ",
        Code.REGISTRY_UNAUTHORIZED,
    ),
    (_REGISTRY, r"file must be downloaded again", Code.DIGEST_MISMATCH),
    (_REGISTRY, r"no location header", Code.REGISTRY_WITHOUT_REDIRECT),
    (
        _REGISTRY,
        r"requires mlx support|insecure protocol http|server gave http response to https client",
        Code.SERVER_REFUSED,
    ),
    (_REGISTRY, r"\Apull model manifest: (?:429|5[0-9]{2})\b|<html", Code.REGISTRY_TROUBLE),
    # A bare EOF mostly comes from part files that a full disk damaged; asking again does not mend them.
    (frozenset({Doing.PULL}), r"\Aeof\Z", Code.DOWNLOAD_DAMAGED),
    (_REGISTRY, r"\Aeof\Z", Code.ERROR_LINE),
    (
        frozenset({Doing.PULL, Doing.PUSH}),
        (
            r"max retries exceeded|unexpected eof|: eof\Z|connection re(?:set|fused)|broken pipe|i/o timeout"
            r"|server misbehaving|no such host|dial tcp|tls handshake timeout|network is unreachable|no route to host"
            r"|context deadline exceeded|stream error|temporary failure"
        ),
        Code.REGISTRY_TROUBLE,
    ),
    (_CREATE, r"\Apull model manifest: |\A(?:get|head) \"https?://", Code.SOURCE_NOT_THERE),
    (_CREATE, _VANISHED, Code.BLOB_VANISHED),
    (
        _CREATE,
        (
            r"neither 'from' or 'files' was specified|path or modelfile are required"
            r"|quantization is only supported|unsupported quantization type|unknown filetype|unknown type|template error"
            r"|unknown parameter|invalid (?:float|int|bool) value|not in gguf format|file path must be relative"
            r"|only one adapter|failed to validate gguf|unsupported content type|no files provided|invalid digest format|invalid model"
        ),
        Code.SERVER_REFUSED,
    ),
    (frozenset({Doing.UPLOAD}), r"digest mismatch", Code.DIGEST_MISMATCH),
    (
        _RUN,
        (
            r"requires more system memory|out of memory|insufficient memory|cudamalloc|unable to allocate"
            r"|failed to allocate|cannot allocate"
        ),
        Code.OUT_OF_MEMORY,
    ),
    (_RUN, r"option \".*\" must be of type|invalid option", Code.LOAD_FAILED),
    (_RUN, r"server busy", Code.BUSY),
    (_RUN, r"timed out waiting for|runner process|error loading model|unable to load", Code.LOAD_FAILED),
)
_PATTERNS = tuple((doing, re.compile(text, re.IGNORECASE), code) for doing, text, code in _TEXTS)


def classify(text: str, *, status: int, doing: Doing) -> Code:
    """Judges the `error` text of a reply with this status; 200 for an error line, or what the line itself says."""
    text = clean(text, limit=4096)
    for concerned, pattern, code in _PATTERNS:
        if doing in concerned and pattern.search(text):
            return code
    return _by_status(text, status, doing)


def vanished(told: str) -> Digest | None:
    """The blob that a create with `Code.BLOB_VANISHED` did not find, by the server's words."""
    match = re.search(_VANISHED, told, re.IGNORECASE)
    return Digest(match[1].lower()) if match else None


def _by_status(text: str, status: int, doing: Doing) -> Code:
    if 300 <= status < 400:
        return Code.REDIRECTED
    if status in {408, 429, 503}:
        return Code.BUSY
    if status in {401, 407} or (status == 403 and text):
        return Code.UNAUTHORIZED
    if status == 403:
        return Code.ORIGIN_REFUSED
    if status == 404 and doing in {Doing.COPY, Doing.RUN} and text:
        # It was there when this was planned: planned anew, not asked again.
        return Code.SUPERSEDED
    if 400 <= status < 500:
        return Code.SERVER_REFUSED
    if doing is Doing.RUN and status == 500 and text:
        return Code.LOAD_FAILED
    if doing in {Doing.PULL, Doing.PUSH, Doing.CREATE} and text:
        # The same failure is a line under 200 or, from 0.12.6 on, a status: one code for both.
        return Code.ERROR_LINE
    return Code.SERVER_ERROR if status >= 500 else Code.ERROR_LINE
