"""A resolved desired state as text and back: what a daemon keeps of the last good manifests, to go on without them.

The text is ASCII, whatever names and prompts hold. Hosts that share items share them in the text and afterwards.
No secret is in it, since none is in the value: only where it is to be read from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Never, get_args, get_origin, get_type_hints

from fleet.codes import Code
from fleet.errors import InputError
from fleet.manifest.inventory import Host, Policy, Registry
from fleet.manifest.item import AbsentItem, Desired, HostDesired, Item
from fleet.names import Digest, HostName, InvalidName, ModelName

FORMAT = 1
"""Raised whenever an older fleet could misread the text: it is then read from the manifests alone."""

_IS = "is"
"""The key of a value's kind."""
_NAMES = (ModelName, Digest, HostName)
"""Written as texts."""


def dump(desired: Desired) -> str:
    """The whole value as one line of JSON, format number first."""
    items, absent = _Table(), _Table()
    hosts = [
        [_plain(wanted.host), items.numbers(wanted.items), absent.numbers(wanted.absent)]
        for wanted in desired.hosts.values()
    ]
    document = {
        "format": FORMAT,
        "name": desired.name,
        "policy": _plain(desired.policy),
        "registries": _plain(desired.registries),
        "items": items.rows,
        "absent": absent.rows,
        "hosts": hosts,
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def restore(text: str) -> Desired:
    """The value that `dump` made the text of. Raises `InputError` for any other text, and for one of another format."""
    try:
        document = json.loads(text, parse_constant=_no_number)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise _Other("it is no desired state of the format that this fleet writes")
        return _restored(document)
    except (_Other, InvalidName, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, _Other | InvalidName) else "it is damaged"
        raise InputError(
            f"the kept manifests cannot be used: {why}",
            code=Code.MANIFEST_WRONG,
            hint="they are read anew from where they come from, and kept again",
        ) from error


class _Other(ValueError):
    """Not what `dump` writes."""


def _restored(document: Mapping[str, Any]) -> Desired:
    items = [_read(row, Item) for row in _rows(document["items"])]
    absent = [_read(row, AbsentItem) for row in _rows(document["absent"])]
    tuples: dict[tuple[int, ...], tuple[Any, ...]] = {}
    policy: Policy = _read(document["policy"], Policy)
    hosts: dict[HostName, HostDesired] = {}
    for row in _rows(document["hosts"]):
        host, wanted, gone = row
        value: Host = _read(host, Host)
        both = _chosen(items, wanted, tuples, 0), _chosen(absent, gone, tuples, 1)
        hosts[value.name] = HostDesired(value, *both, policy.prune)
    if len(hosts) != len(document["hosts"]):
        raise _Other("it has a host twice")
    return Desired(
        name=_read(document["name"], str),
        hosts=hosts,
        policy=policy,
        registries=_read(document["registries"], Mapping[str, Registry] | None),
    )


def _chosen(
    values: list[Any], numbers: Any, known: dict[tuple[int, ...], tuple[Any, ...]], kind: int
) -> tuple[Any, ...]:
    """The values of these numbers, the very same tuple for the same numbers."""
    key = (kind, *(number for number in _rows(numbers) if type(number) is int and 0 <= number < len(values)))
    if len(key) != len(numbers) + 1:
        raise _Other("a host names an item that it does not have")
    if key not in known:
        known[key] = tuple(values[number] for number in key[1:])
    return known[key]


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Other("a list is missing")
    return value


class _Table:
    """Values in the order in which they came up, each once however many hosts share it."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._numbers: dict[int, int] = {}

    def numbers(self, values: Iterable[Item | AbsentItem]) -> list[int]:
        found: list[int] = []
        for value in values:
            number = self._numbers.setdefault(id(value), len(self.rows))
            if number == len(self.rows):
                self.rows.append(_plain(value))
            found.append(number)
        return found


def _plain(value: Any) -> Any:
    """As JSON has it: fields that are as by default left out, values of a class with its name."""
    match value:
        case ModelName():
            # In full: the short form hides how a default part was spelled.
            return f"{value.registry}/{value.namespace}/{value.model}:{value.tag}"
        case Digest():
            return value.hex
        case StrEnum():
            return value.value
        case tuple():
            return [_plain(one) for one in value]
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
    if is_dataclass(value):
        kind: Any = type(value)
        said = {field.name: getattr(value, field.name) for field in fields(value)}
        defaults = _defaults(kind)
        return {
            _IS: kind.__name__,
            **{name: _plain(one) for name, one in said.items() if name not in defaults or defaults[name] != one},
        }
    return value


def _read(value: Any, kind: Any) -> Any:
    """The value of that type. Raises `_Other` for anything that `_plain` makes of none such."""
    if isinstance(kind, UnionType):
        return _read_any(value, get_args(kind))
    origin = get_origin(kind)
    if origin is tuple:
        return _read_tuple(value, get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _Other("a map is missing")
        return {key: _read(one, get_args(kind)[1]) for key, one in value.items()}
    if kind in _NAMES:
        return kind.parse(_read(value, str))
    if issubclass(kind, StrEnum):
        return kind(_read(value, str))
    if is_dataclass(kind):
        return _read_fields(value, kind)
    if not _is(value, kind):
        raise _Other(f"`{type(value).__name__}` stands where `{kind.__name__}` is wanted")
    return value


def _is(value: Any, kind: type) -> bool:
    """Strictly, but that a duration may be a whole number."""
    return type(value) is kind or (kind is float and type(value) is int)


def _read_any(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Which of them it is, is told by the value's own type, and by the class that is named with it."""
    for kind in kinds:
        if _fits(value, kind):
            return value if kind is NoneType else _read(value, kind)
    raise _Other("a value is of no type that it may have")


def _fits(value: Any, kind: Any) -> bool:
    if kind is NoneType:
        return value is None
    if get_origin(kind) is tuple:
        return isinstance(value, list)
    if get_origin(kind) is not None:
        return isinstance(value, dict)
    if kind in _NAMES or issubclass(kind, StrEnum):
        return isinstance(value, str)
    name: str = kind.__name__
    if is_dataclass(kind):
        return isinstance(value, dict) and value.get(_IS) == name
    return _is(value, kind)


def _read_tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    rows = _rows(value)
    if kinds[-1] is Ellipsis:
        return tuple(_read(one, kinds[0]) for one in rows)
    return tuple(_read(one, kind) for one, kind in zip(rows, kinds, strict=True))


def _read_fields(value: Any, kind: Any) -> Any:
    if not isinstance(value, dict) or value.get(_IS) != kind.__name__:
        raise _Other(f"there is no `{kind.__name__}` where one is wanted")
    kinds = _kinds(kind)
    given = {name: one for name, one in value.items() if name != _IS}
    if unknown := given.keys() - kinds.keys():
        raise _Other(f"`{kind.__name__}` has no `{min(unknown)[:80]}`")
    return kind(**{name: _read(one, kinds[name]) for name, one in given.items()})


@lru_cache(maxsize=64)
def _kinds(kind: Any) -> Mapping[str, Any]:
    return MappingProxyType(get_type_hints(kind))


@lru_cache(maxsize=64)
def _defaults(kind: Any) -> Mapping[str, Any]:
    return MappingProxyType({field.name: _default(field) for field in fields(kind) if _default(field) is not MISSING})


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _no_number(text: str) -> Never:
    raise _Other(f"`{text}` is no number")
