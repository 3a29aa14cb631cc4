"""What a request may say of parameters and options: values, releases, and which of them belong to the runner.

Pure. Servers with the field dialect store anything and fail only at load (`ollama-api.md` 7.4), so the client checks.
"""

from __future__ import annotations

import math
from typing import TypeGuard, assert_never

from fleet.ollama.versions import Version
from fleet.parameters import PARAMETERS, Kind, in_float32

_LARGEST = 1 << 53
"""JSON numbers pass through 64-bit floats on the server."""

_RUNNER = frozenset({"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"})
_RUNNER_BEFORE_0_7 = frozenset({"low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"})
_RUNNER_SINCE = {"draft_num_predict": (0, 30, 0), "shift": (0, 30, 9)}

RUNNER_OPTIONS = _RUNNER | _RUNNER_BEFORE_0_7 | frozenset(_RUNNER_SINCE)
"""All options that on any release make two runners out of one (`ollama-api.md` 12.4)."""


def runner_options(version: Version) -> frozenset[str]:
    """The options whose change reloads a runner on this release; all that ever did where it is not known."""
    if not version.known:
        return RUNNER_OPTIONS
    release = (version.major, version.minor, version.patch)
    older = _RUNNER_BEFORE_0_7 if release < (0, 7, 0) else frozenset[str]()
    return _RUNNER | older | {name for name, since in _RUNNER_SINCE.items() if release >= since}


def known_in(name: str, version: Version) -> bool:
    """Whether servers of this release use the parameter. Unknown ones are trusted with what every release knows."""
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return False
    if not version.known:
        return parameter.since is None and parameter.until is None
    return parameter.known_to((version.major, version.minor, version.patch))


def check(name: str, value: object) -> str | None:
    """What is wrong with the value for any server that knows the name, or nothing."""
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return f"`{name}` is no parameter that any release of Ollama knows"
    match parameter.kind:
        case Kind.FLAG:
            fits = isinstance(value, bool)
        case Kind.TEXTS:
            fits = isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)
        case Kind.NUMBER:
            fits = _is_number(value) and in_float32(value)
        case Kind.INTEGER:
            # The server cuts fractions off without a word.
            fits = _is_number(value) and value == int(value) and abs(value) <= _LARGEST
        case _:
            assert_never(parameter.kind)
    return None if fits else f"`{name}` must be {parameter.kind}"


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)
