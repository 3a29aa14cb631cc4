"""The models that are pulled anywhere in the fleet, each once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fleet.manifest.inventory import Place
from fleet.manifest.item import Desired, HostDesired, Pull
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.known import asked


@dataclass(frozen=True, slots=True)
class Pulled:
    """One declared name, with all that its entries say of where its content comes from and which it may be."""

    name: ModelName
    place: Place
    """Of the first entry."""
    sources: Mapping[ModelName, tuple[HostName, ...]]
    """What is really pulled, and by which hosts: one name, unless entries for different hosts say different ones."""
    pins: frozenset[Digest]

    @property
    def origins(self) -> tuple[ModelName, ...]:
        """What is really pulled, sorted."""
        return tuple(sorted(self.sources))


def pulled_of(desired: Desired) -> tuple[Pulled, ...]:
    """All of them, sorted by name."""
    found: dict[ModelName, Pulled] = {}
    for host, wanted in sorted(desired.hosts.items()):
        for item in wanted.items:
            if not isinstance(item.source, Pull):
                continue
            origin, pin = asked(item, item.source), item.source.pin
            before = found.setdefault(item.name, Pulled(item.name, item.place, {}, frozenset()))
            found[item.name] = replace(
                before,
                sources={**before.sources, origin: (*before.sources.get(origin, ()), host)},
                pins=before.pins if pin is None else before.pins | {pin},
            )
    return tuple(pulled for _, pulled in sorted(found.items()))


def pulls_alone(desired: HostDesired) -> HostDesired:
    """The host asked for nothing but its pulls: a look at it then needs no more than its listing."""
    items = (replace(item, warm=None, check=(), push=False) for item in desired.items if isinstance(item.source, Pull))
    return replace(desired, items=tuple(items), absent=())
