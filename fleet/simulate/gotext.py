"""Text as Go prints it: JSON, quoted strings, numbers, durations, moments. Replies and image manifests are made of it."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from json.encoder import encode_basestring as _quote_json
from typing import Any, NamedTuple

FOREVER = (1 << 63) - 1
"""The longest Go duration in nanoseconds, about 292 years: what a negative keep_alive becomes."""

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(\d*)(\.\d*)?([^\d.]*)")
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_SHORT_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


class Float32(NamedTuple):
    """A number that Go holds in 32 bits, and so prints with fewer digits."""

    value: float


def json_text(value: Any, *, newline: bool = False) -> bytes:
    """JSON as `json.Marshal` writes it: compact, maps of unknown keys as given, `<>&` escaped.

    Raises `ValueError` for a number that is infinite or none.
    """
    parts: list[str] = []
    _write(value, parts.append)
    if newline:
        parts.append("\n")
    return "".join(parts).encode("utf-8", "replace")


def _write(value: Any, put: Any) -> None:
    if value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, str):
        put(_quote_json(value).translate(_HTML))
    elif isinstance(value, int):
        put(str(value))
    elif isinstance(value, float):
        put(json_number(repr(value)))
    elif isinstance(value, Float32):
        put(json_number(_shortest32(value.value)))
    elif isinstance(value, Mapping):
        put("{")
        for index, (key, item) in enumerate(value.items()):
            put("," if index else "")
            put(_quote_json(str(key)).translate(_HTML))
            put(":")
            _write(item, put)
        put("}")
    else:
        put("[")
        for index, item in enumerate(value):
            put("," if index else "")
            _write(item, put)
        put("]")


def sorted_keys(value: Any) -> Any:
    """The value with the keys of all its maps in order, as Go encodes maps."""
    if isinstance(value, Mapping):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(item) for item in value] if isinstance(value, list) else value


def _digits(text: str) -> tuple[str, str, int]:
    """Sign, significant digits and decimal exponent of a shortest decimal as Python prints it: `-1.5e-07`."""
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.lstrip("-").lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).rstrip("0")
    stripped = digits.lstrip("0")
    return sign, stripped or "0", (point - (len(digits) - len(stripped)) - 1) if stripped else 0


def json_number(text: str) -> str:
    """A float in JSON: plain between 1e-6 and 1e21, else with an exponent of no leading zero. Raises `ValueError`."""
    if not math.isfinite(float(text)):
        raise ValueError(f"json: unsupported value: {number(float(text))}")
    sign, digits, exponent = _digits(text)
    if digits == "0" or -6 <= exponent < 21:
        return sign + _plain(digits, exponent)
    return sign + _exponential(digits, exponent, width=1 if exponent < 0 else 2)


def number(value: float, *, bits: int = 64) -> str:
    """A float as `%v` prints it: with an exponent from 1e+06 on and below 1e-04."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    sign, digits, exponent = _digits(_shortest32(value) if bits == 32 else repr(float(value)))
    if digits != "0" and not -4 <= exponent < 6:
        return sign + _exponential(digits, exponent, width=2)
    return sign + _plain(digits, exponent)


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _exponential(digits: str, exponent: int, *, width: int) -> str:
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):0{width}d}"


def _shortest32(value: float) -> str:
    """The shortest decimal that reads back as the same 32-bit float."""
    for precision in range(1, 10):
        text = f"{value:.{precision}g}"
        if single(float(text)) == single(value):
            return text
    return repr(value)


def single(value: float) -> float:
    """The nearest 32-bit float, or an infinity where none is near."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def quoted(text: str) -> str:
    """A string as `%q` prints it."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    short = _SHORT_ESCAPES.get(character)
    if short:
        return short
    if character.isprintable() or character == " ":
        return character
    point = ord(character)
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def shown(value: Any) -> str:
    """A JSON value as `%v` prints it: how parameters stand in a rendered Modelfile."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return number(float(value))
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    return "[" + " ".join(shown(item) for item in value) + "]"


def syntax(value: Any, *, nested: bool = False) -> str:
    """A JSON value as `%#v` prints it: how parameters stand in the text `parameters`."""
    if value is None:
        return "interface {}(nil)" if nested else "<nil>"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        pairs = (f"{quoted(key)}:{syntax(value[key], nested=True)}" for key in sorted(value))
        return "map[string]interface {}{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(syntax(item, nested=True) for item in value) + "}"
    return shown(value)


def duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `1h30m`. Raises `ValueError` with Go's words."""
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    total = 0
    while rest:
        match = _DURATION.match(rest)
        if match is None or not (match[1] or (match[2] and len(match[2]) > 1)):
            raise ValueError(f"time: invalid duration {quoted(text)}")
        if not match[3]:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        unit = _UNITS.get(match[3])
        if unit is None:
            raise ValueError(f"time: unknown unit {quoted(match[3])} in duration {quoted(text)}")
        total += int(match[1] or 0) * unit
        if match[2] and len(match[2]) > 1:
            total += int(match[2][1:]) * unit // 10 ** (len(match[2]) - 1)
        if total > FOREVER:
            raise ValueError(f"time: invalid duration {quoted(text)}")
        rest = rest[match.end() :]
    return -total if text.startswith("-") else total


def moment(nanoseconds: int, zone: timezone = UTC) -> str:
    """A point in time (since 1970) as RFC 3339 with up to nine digits of the second, as Go's JSON has it."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone)
    tail = f".{fraction:09d}".rstrip("0").rstrip(".")
    offset = at.strftime("%z")
    return f"{at:%Y-%m-%dT%H:%M:%S}{tail}{'Z' if offset == '+0000' else offset[:3] + ':' + offset[3:]}"
