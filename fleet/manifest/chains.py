"""Follows aliases and bases on one host: no circle, and no source that the same host must not have.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.manifest.faults import Faults, quoted
from fleet.manifest.item import AbsentItem, Alias, Create, Item
from fleet.manifest.pattern import matches
from fleet.names import HostName, ModelName


def source_of(item: Item) -> ModelName | None:
    """The model that an item is a copy of or is made from."""
    match item.source:
        case Alias(source=name):
            return name
        case Create(base=base):
            return base
        case _:
            return None


def check_chains(host: HostName, items: Iterable[Item], absent: Iterable[AbsentItem], faults: Faults) -> None:
    """Tells circles, each once, and sources that are declared absent."""
    by_name = {item.name: item for item in items}
    gone = tuple(absent)
    settled: set[ModelName] = set()
    for item in by_name.values():
        chain: list[ModelName] = []
        name: ModelName | None = item.name
        while name is not None and name in by_name and name not in settled:
            if name in chain:
                _circle(chain[chain.index(name) :], by_name, faults)
                break
            chain.append(name)
            name = source_of(by_name[name])
        settled.update(chain)
        source = source_of(item)
        if source is not None and source not in by_name:
            _gone(host, item, source, gone, faults)


def _circle(circle: list[ModelName], by_name: Mapping[ModelName, Item], faults: Faults) -> None:
    # Begun at its least name, so that the order of the entries changes nothing.
    start = circle.index(min(circle))
    turned = circle[start:] + circle[:start]
    shown = " -> ".join(str(name) for name in [*turned, turned[0]])
    faults.add(by_name[turned[0]].place, f"models.{turned[0]}", f"a circle of sources: {shown}")


def _gone(host: HostName, item: Item, source: ModelName, absent: tuple[AbsentItem, ...], faults: Faults) -> None:
    for one in absent:
        if one.exact == source if one.exact is not None else matches(one.pattern.text, source):
            faults.add(
                item.place,
                f"models.{item.name}",
                f"its source {quoted(str(source))} must be gone from `{host}`, says {one.place}",
            )
            return
