"""What an entry says to which of its hosts, once its overrides are merged: one variant for all that get the same.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fleet.manifest.faults import Faults, Misread
from fleet.manifest.inventory import Host, Place
from fleet.manifest.item import ParameterValue
from fleet.manifest.ranges import fill
from fleet.manifest.reach import Hosts, Reach, members
from fleet.manifest.written import Entry, Gives, NamedFile, Override, files_in, host_keys


@dataclass(frozen=True, slots=True)
class Variant:
    """What some hosts are told alike. `paths` are the files that it names, their braces filled."""

    entry: Entry
    hosts: Hosts
    gives: Gives
    overrides: tuple[Override, ...]
    paths: dict[NamedFile, str]
    host: Host | None
    """One of them, to be named in a fault; nothing where all hosts of the entry are told the same."""

    @property
    def where(self) -> str | None:
        """All selectors that chose these hosts, as one."""
        chosen = [where.selector.text for where in (self.entry.within, self.entry.where) if where is not None]
        return ",".join(chosen) or None

    @property
    def overridden(self) -> tuple[Place, ...]:
        return tuple(override.place for override in self.overrides)


def variants(entry: Entry, reach: Reach, faults: Faults) -> Iterator[Variant]:
    """Parts the hosts of an entry by the overrides that meet them, and by the files that their labels lead to."""
    reached = reach.entry(entry)
    parts: list[tuple[Hosts, tuple[Override, ...]]] = [(reached, ())] if reached else []
    for override in entry.overrides:
        meant = reach.override(entry, override.where, reached)
        parts = [
            part
            for hosts, overrides in parts
            for part in ((hosts & ~meant, overrides), (hosts & meant, (*overrides, override)))
            if part[0]
        ]
    for hosts, overrides in parts:
        gives = _merged(entry, overrides, reach.hosts[next(members(hosts))], faults)
        for some, paths in _by_paths(hosts, gives, reach, entry, faults):
            lone = None if some == reached else reach.hosts[next(members(some))]
            yield Variant(entry, some, gives, overrides, paths, lone)


class _Valued(Protocol):
    @property
    def value(self) -> Any: ...


def below(gives: Mapping[str, _Valued], prefix: str) -> dict[str, ParameterValue]:
    """The values of the keys that begin so, by what is left of them, sorted."""
    return {key.removeprefix(prefix): gives[key].value for key in sorted(gives) if key.startswith(prefix)}


def _merged(entry: Entry, overrides: tuple[Override, ...], host: Host, faults: Faults) -> Gives:
    gives = dict(entry.gives)
    before: dict[str, Override] = {}
    for override in overrides:
        for key, given in override.gives.items():
            other = next((before[one] for one in before if _same_key(one, key)), None)
            if other is not None:
                faults.add(
                    given.place,
                    f"{override.path}.{key}",
                    f"for `{host.name}`, the override at {other.place} sets this key as well",
                    "narrow one of the two by its `where`",
                )
            before.setdefault(key, override)
            for replaced in [one for one in gives if _same_key(one, key)]:
                del gives[replaced]
            gives[key] = given
    return gives


def _same_key(one: str, other: str) -> bool:
    """Whether two keys set the same thing: `warm` as a whole and a part of it do, two parts of it do not."""
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")


def _by_paths(
    hosts: Hosts, gives: Gives, reach: Reach, entry: Entry, faults: Faults
) -> list[tuple[Hosts, dict[NamedFile, str]]]:
    texts = list(files_in(gives))
    if not any("{" in text.path for text in texts):
        return [(hosts, {text: text.path for text in texts})]
    found: dict[tuple[str, ...], Hosts] = {}
    for number in members(hosts):
        host = reach.hosts[number]
        try:
            paths = tuple(fill(text.path, host_keys(host)) for text in texts)
        except Misread as error:
            faults.add(texts[0].place, entry.path, f"for `{host.name}`: {error}", error.hint)
            break
        found[paths] = found.get(paths, 0) | 1 << number
    return [(some, dict(zip(texts, paths, strict=True))) for paths, some in found.items()]
