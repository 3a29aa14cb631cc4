"""Sizes and durations as people write them in a scenario, and the pydantic types that read them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?")
_FACTOR = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_FACTOR |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|s|m|h)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def size(text: str) -> int:
    """Bytes from `4096`, `8MB` or `1.5GiB`. Raises `ValueError`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"`{text}` is no size; write 4096, 8MB or 1.5GiB")
    return int(float(match[1]) * _FACTOR[match[2] or "B"])


def duration(text: str) -> float:
    """Seconds from Go's form, `60ms` or `1h30m`; a leading `-` makes it negative. Raises `ValueError`."""
    unsigned = text.strip().removeprefix("-")
    parts = _DURATION.findall(unsigned)
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        raise ValueError(f"`{text}` is no duration; write 500ms, 5s or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return -seconds if text.strip().startswith("-") else seconds


def _read_size(value: Any) -> Any:
    return size(value) if isinstance(value, str) else value


def _read_duration(value: Any) -> Any:
    return duration(value) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_read_size), Field(ge=0)]
"""Bytes: a number, or a text with a unit."""

Seconds = Annotated[float, BeforeValidator(_read_duration), Field(ge=0)]
"""Seconds: a number, or a text in Go's form."""

KeepAlive = Annotated[float, BeforeValidator(_read_duration)]
"""Seconds, where a negative value means for ever."""
