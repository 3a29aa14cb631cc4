"""The small grammars of the format: names, labels, durations and sizes, as shapes."""

from __future__ import annotations

import re

from fleet.manifest.faults import Misread, quoted
from fleet.manifest.glob import is_glob
from fleet.manifest.pattern import RESERVED, parse_pattern
from fleet.manifest.ranges import expand, extent, placeholders
from fleet.manifest.secrets import HINT, is_secret_key, looks_random
from fleet.manifest.selector import RESERVED_KEYS, Selector
from fleet.manifest.shape import Parsed, Reader, Shape, Text
from fleet.manifest.tree import Node
from fleet.names import Digest, HostName, InvalidName, ModelName
from fleet.quantities import duration, size

_LABEL_KEY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?\Z")
_FLEET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_REGISTRY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}\Z")
_SEMVER = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){2}(?:-[0-9A-Za-z.-]{1,40})?\Z")
_BUILTIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")

FOR_EVER = -1.0
"""What a `keep_alive` without end is read as."""

_SIZE = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?[A-Za-z]+$"}
_DURATION = r"^([0-9.]+(ns|us|µs|μs|ms|s|m|h))+$"


def model_name(text: str) -> ModelName:
    """A name that may be written in a manifest. Raises `InvalidName`."""
    name = ModelName.parse(text)
    if name.reserved:
        raise InvalidName(f"{quoted(text)}: the tag `{name.tag}` is reserved", hint=RESERVED)
    return name


def model_key(text: str) -> object:
    """A key of `models`: a name, or a glob over names."""
    return parse_pattern(text) if is_glob(text) else model_name(text)


def host_key(text: str) -> int:
    """How many hosts a key of `hosts` makes, a name or a range of names. Raises `Misread` or `InvalidName`."""
    number, last = extent(text)
    # All of them have the same letters but for those of the range, and none is longer than the last.
    HostName.parse(last)
    return number


def host_names(text: str) -> list[HostName]:
    """The names that such a key makes."""
    return [HostName(name) for name in expand(text)]


def label_key(text: str) -> str:
    if text in RESERVED_KEYS:
        raise Misread(f"{quoted(text)} cannot be a label, since selectors ask for it in another sense")
    if is_secret_key(text):
        raise Misread("a label holds no secret: it is shown, and sent to metrics", hint=HINT)
    return _checked(_LABEL_KEY, text, "label")


def label_value(text: str) -> str:
    if looks_random(text):
        raise Misread("this looks like a secret, and a label holds none: it is shown, and sent to metrics", hint=HINT)
    return _checked(_LABEL_VALUE, text, "label value")


def group_key(text: str) -> str:
    return _checked(_BUILTIN, text, "group name")


def registry_key(text: str) -> str:
    return _checked(_REGISTRY, text, "registry (`HOST` or `HOST:PORT`)")


def path_text(text: str) -> str:
    """The path of a file or folder. Raises `Misread` for what no path holds."""
    if any(letter < " " for letter in text):
        raise Misread(f"{quoted(text)}: a path holds no control characters")
    return text


def path_template(text: str) -> str:
    """A path in which keys of the host may stand between braces. Raises `Misread`."""
    placeholders(path_text(text))
    return text


def _checked(grammar: re.Pattern[str], text: str, kind: str) -> str:
    if not grammar.match(text):
        raise Misread(f"{quoted(text)} is no {kind}")
    return text


def _keep_alive(text: str) -> float:
    if text == "-1":
        return FOR_EVER
    seconds = duration(text[:80])
    if not 1 <= seconds < 2**63 / 10**9:
        raise Misread(f"{quoted(text)}: a model is kept for at least a second", hint="`-1` keeps it for ever")
    return seconds


def _within(text: str) -> float:
    seconds = duration(text[:80])
    if not 0 < seconds < 2**63 / 10**9:
        raise Misread(f"{quoted(text)} is no time to answer in")
    return seconds


class Suspension(Shape[str | None]):
    """`true` or a reason; `false` takes back what a group says. Nothing means in service."""

    wants = "`true` or a reason"

    def read(self, node: Node, path: str, reader: Reader) -> str | None:
        scalar = self.scalar(node, path, reader)
        if not scalar.style and scalar.text in {"true", "false"}:
            return "" if scalar.text == "true" else None
        return scalar.text

    def schema(self) -> dict[str, object]:
        return Text().schema()


MODEL = Parsed("a model name", model_name)
PATTERN = Parsed("a model name or a glob", parse_pattern)
SELECTOR = Parsed("a selector", Selector.parse)
LABEL_VALUE = Parsed("a label value", label_value)
DIGEST = Parsed("a digest", Digest.parse, {"type": ["string", "integer"], "pattern": "^(sha256:)?[0-9a-f]{64}$"})
GROUP = Parsed("the name of a group", group_key)
FLEET_NAME = Parsed("a name", lambda text: _checked(_FLEET_NAME, text, "name (letters, digits, `_`, `-`, `.`)"))
VARIABLE = Parsed("an environment variable", lambda text: _checked(_VARIABLE, text, "environment variable"))
HEADER = Parsed("the name of a header", lambda text: _checked(_HEADER, text, "header"))
BUILTIN = Parsed("a name", lambda text: _checked(_BUILTIN, text, "name that servers know"))
SEMVER = Parsed(
    "a version", lambda text: _checked(_SEMVER, text, "version of three numbers, as 0.14.0"), {"type": "string"}
)
SIZE = Parsed("a size", lambda text: size(text[:40]), _SIZE)
WITHIN = Parsed("a duration", _within, {"type": "string", "pattern": _DURATION})
KEEP_ALIVE = Parsed(
    "a duration or -1",
    _keep_alive,
    {"anyOf": [{"const": -1}, {"type": "string", "pattern": rf"^-1$|{_DURATION}"}]},
)
