"""Works out what inventory and manifests ask of every host: selectors, overrides, globs and defaults.

Pure: a function of what was loaded. Hosts that are asked for the same share the same values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fleet.manifest.address import comparable
from fleet.manifest.chains import check_chains
from fleet.manifest.faults import Fault, Faults, ManifestErrors, TooManyFaults
from fleet.manifest.fingerprint import fingerprint
from fleet.manifest.inventory import NamePattern, Place, Prune
from fleet.manifest.item import AbsentItem, Desired, HostDesired, Item
from fleet.manifest.items import Making
from fleet.manifest.reach import Hosts, Reach, members
from fleet.manifest.variants import variants
from fleet.manifest.written import Loaded
from fleet.names import HostName

__all__ = ["examine", "fingerprint", "resolve"]

Said = tuple[Hosts, Item | AbsentItem]
"""What some hosts are asked for."""


def resolve(loaded: Loaded) -> Desired:
    """What is asked of each host. Raises `ManifestErrors` with all faults between entries."""
    desired, faults = examine(loaded)
    if faults:
        raise ManifestErrors(faults)
    return desired


def examine(loaded: Loaded) -> tuple[Desired, tuple[Fault, ...]]:
    """What `resolve` gives, as far as it goes, and every fault."""
    faults = Faults()
    try:
        hosts = _work_out(loaded, faults)
    except TooManyFaults:
        hosts = {}
    desired = Desired(loaded.name, hosts, loaded.policy, loaded.registries)
    return desired, tuple(dict.fromkeys(faults.found))


def _work_out(loaded: Loaded, faults: Faults) -> dict[HostName, HostDesired]:
    reach = Reach(loaded.hosts, faults, partial=loaded.partial)
    making = Making(loaded, faults, only=_myself(loaded))
    by_name: dict[str, list[Said]] = {}
    reach.documents(loaded.entries)
    for entry in loaded.entries:
        key = entry.name.key if entry.name is not None else entry.path.lower()
        for variant in variants(entry, reach, faults):
            item = making.make(variant)
            if item is not None:
                by_name.setdefault(key, []).append((variant.hosts, item))
    items: list[list[Item]] = [[] for _ in reach.hosts]
    absent: list[list[AbsentItem]] = [[] for _ in reach.hosts]
    for _, said in sorted(by_name.items()):
        for hosts, item in _without_overlap(said, reach, faults):
            if isinstance(item, Item):
                for number in members(hosts):
                    items[number].append(item)
            else:
                for number in members(hosts):
                    absent[number].append(item)
    hosts_desired = _shared(reach, items, absent, loaded.policy.prune, faults)
    _same_address(hosts_desired, faults)
    if loaded.self_name is not None:
        return {loaded.self_name: hosts_desired[loaded.self_name]}
    return hosts_desired


def _myself(loaded: Loaded) -> Hosts | None:
    """The host that this machine is, where only that one counts: files for the others need not be here."""
    return None if loaded.self_name is None else 1 << list(loaded.hosts).index(loaded.self_name)


def _without_overlap(said: list[Said], reach: Reach, faults: Faults) -> list[Said]:
    """The same, each host once: who says the same as an earlier entry is heard once, who differs is a fault."""
    kept: list[Said] = []
    taken: Hosts = 0
    for hosts, item in said:
        left = hosts
        for other_hosts, other in kept if hosts & taken else ():
            both = left & other_hosts
            if not both:
                continue
            left &= ~other_hosts
            if _content(item) != _content(other):
                host = reach.hosts[next(members(both))].name
                gone = isinstance(item, AbsentItem) != isinstance(other, AbsentItem)
                faults.add(
                    item.place,
                    f"models.{item.name if isinstance(item, Item) else item.pattern.text}",
                    f"{'declared and declared absent' if gone else 'declared twice, not alike,'} for `{host}`:"
                    f" also at {other.place}",
                    "make the two `where` disjoint, or the entries equal",
                )
        if left:
            kept.append((left, item))
            taken |= left
    return kept


_NOWHERE = Place("", 0, 0)


def _content(item: Item | AbsentItem) -> Item | AbsentItem:
    """What an item says, apart from where it is said."""
    if isinstance(item, Item):
        return replace(item, place=_NOWHERE, overridden=(), where=None)
    return replace(item, pattern=NamePattern(item.pattern.text.lower()), place=_NOWHERE, where=None)


def _shared(
    reach: Reach, items: list[list[Item]], absent: list[list[AbsentItem]], prune: Prune, faults: Faults
) -> dict[HostName, HostDesired]:
    """One tuple for all hosts with the same items, whose chains are then followed once."""
    known: dict[tuple[int, ...], tuple[tuple[Item, ...], tuple[AbsentItem, ...]]] = {}
    found: dict[HostName, HostDesired] = {}
    for host, wanted, gone in zip(reach.hosts, items, absent, strict=True):
        key = (*map(id, wanted), 0, *map(id, gone))
        both = known.get(key)
        if both is None:
            both = known[key] = (tuple(wanted), tuple(sorted(gone, key=_by_pattern)))
            check_chains(host.name, both[0], both[1], faults)
        found[host.name] = HostDesired(host, *both, prune)
    return found


def _same_address(hosts: dict[HostName, HostDesired], faults: Faults) -> None:
    """Two names of one server must ask for the same, else each pass would undo the other's work."""
    first: dict[str, HostDesired] = {}
    for wanted in hosts.values():
        before = first.setdefault(comparable(wanted.host.url), wanted)
        if before is wanted:
            continue
        if _contents(before.items) != _contents(wanted.items) or _contents(before.absent) != _contents(wanted.absent):
            faults.add(
                wanted.host.place,
                f"hosts.{wanted.host.name}",
                f"the same address as `{before.host.name}` at {before.host.place}, and asked for other models",
                "keep one name for one server",
            )


def _by_pattern(item: AbsentItem) -> str:
    return item.pattern.text.lower()


def _contents(items: Iterable[Item | AbsentItem]) -> list[Item | AbsentItem]:
    return [_content(item) for item in items]
