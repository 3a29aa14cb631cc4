"""Durations, sizes and shares as people write them, and back: `1h30m`, `64GiB`, `10%`."""

from __future__ import annotations

import re

from fleet.foreign import clean

_DURATION = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+\Z")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)\Z")
_BYTES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
_SHARE = re.compile(r"([0-9]{1,6})(%?)\Z")


class InvalidQuantity(ValueError):
    """A text that is no duration, size or share. The message says why, without naming where it stood."""


def duration(text: str) -> float:
    """Seconds of a duration in Go's form, never negative. A number without unit is refused, except `0`."""
    if text == "0":
        return 0.0
    if not _DURATION.match(text):
        unit = f", such as `{text}s` or `{text}m`" if text.isascii() and text.isdigit() else ""
        raise InvalidQuantity(
            f"`{clean(text, 80)}` is no duration: a number needs its unit (`500ms`, `90s`, `1h30m`){unit}"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def size(text: str) -> int:
    """Bytes of a size with its unit: `GB` counts in thousands, `GiB` in 1024s. A number without unit is refused."""
    match = _SIZE.match(text)
    if not match or match[2].lower() not in _BYTES:
        hint = "" if match is None or match[2] else ": a number needs its unit"
        raise InvalidQuantity(f"`{clean(text, 80)}` is no size{hint} (`512MiB`, `80GB`, `1.5TiB`)")
    return round(float(match[1]) * _BYTES[match[2].lower()])


def share(text: str, of: int) -> int:
    """How many of `of` a number or a percentage allows; a percentage is rounded down."""
    match = _SHARE.match(text)
    if not match or (match[2] and int(match[1]) > 100):
        raise InvalidQuantity(f"`{clean(text, 80)}` is neither a number nor a percentage (`2`, `10%`)")
    return of * int(match[1]) // 100 if match[2] else int(match[1])


def show_duration(seconds: float) -> str:
    """The shortest of Go's forms: `90s` as `1m30s`, half a second as `500ms`; three digits below a second."""
    if seconds < 1:
        return "0s" if seconds < 0.0005 else f"{seconds * 1000:.0f}ms"
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, seconds - whole // 60 * 60
    parts = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    return parts + (f"{rest:.3f}".rstrip("0").rstrip(".") + "s" if rest or not parts else "")


def show_size(count: int) -> str:
    """Bytes for people, in thousands as Ollama shows them: `999 B`, `4.7 GB`."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError(amount)


def exact_size(count: int) -> str:
    """Bytes in the largest unit that loses nothing, as it would be written in a settings file: `1MiB`, `1500B`."""
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "KB"):
        if count and count % _BYTES[unit.lower()] == 0:
            return f"{count // _BYTES[unit.lower()]}{unit}"
    return f"{count}B"
