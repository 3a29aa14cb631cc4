"""The entries of a manifest for what several hosts hold: what they have in common is said once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.manifest.inventory import Host
from fleet.manifest.item import Pull, Source
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.importing.origin import ANYTHING, Allowed, Origins, origins, usable
from fleet.reconcile.importing.roots import roots
from fleet.reconcile.importing.selecting import Hosts, Selecting
from fleet.reconcile.inside import Inside


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """One entry to be written."""

    name: ModelName
    source: Source
    where: str | None
    hosts: Hosts
    notes: tuple[str, ...] = ()
    """What a person should know of it, in one line each; may hold words of hosts."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest to be written."""

    documents: tuple[tuple[DraftEntry, ...], ...]
    """Entries by name. A model for which hosts differ has one entry in each of several documents."""
    left_out: Mapping[HostName, tuple[str, ...]] = field(default_factory=dict)
    aliases: bool = False
    """Whether names of equal content are among them."""


def draft(insides: Iterable[Inside], hosts: Mapping[HostName, Host], allowed: Allowed = ANYTHING) -> Draft:
    """What asks for just what the hosts hold. `hosts` are all of the inventory, of which some may not be looked into."""
    every = tuple(insides)
    chosen = roots(every, lambda inside, name: usable(inside, name, allowed))
    told = tuple(origins(inside, chosen, allowed) for inside in every)
    selecting = Selecting(hosts)
    documents: list[list[DraftEntry]] = []
    for name in sorted({name for each in told for name in each.models}):
        for number, entry in enumerate(_entries(name, told, selecting)):
            if number == len(documents):
                documents.append([])
            documents[number].append(entry)
    return Draft(
        tuple(tuple(entries) for entries in documents),
        {each.inside.host.name: each.left_out for each in told if each.left_out},
        aliases=any(_is_alias(each) for each in told),
    )


def _is_alias(told: Origins) -> bool:
    digests = [told.inside.observed.models[name].digest for name in told.models]
    return len(set(digests)) < len(digests)


def _entries(name: ModelName, told: tuple[Origins, ...], selecting: Selecting) -> Iterator[DraftEntry]:
    """One for all hosts that are asked for the same; those of the most hosts first."""
    alike: list[tuple[Source, list[Origins]]] = []
    for each in told:
        origin = each.models.get(name)
        if origin is None:
            continue
        same = next((hosts for source, hosts in alike if source == origin.source), None)
        if same is None:
            alike.append((origin.source, [each]))
        else:
            same.append(each)
    alike.sort(key=lambda both: -len(both[1]))
    for source, holders in alike:
        hosts = frozenset(each.inside.host.name for each in holders)
        for where, share in selecting.chosen(hosts):
            some = [each for each in holders if each.inside.host.name in share]
            yield DraftEntry(name, source, where, share, tuple(_notes(name, source, some)))


def _notes(name: ModelName, source: Source, holders: list[Origins]) -> Iterator[str]:
    doubts: dict[str, list[HostName]] = {}
    for each in holders:
        doubt = each.models[name].doubt
        if doubt:
            doubts.setdefault(doubt, []).append(each.inside.host.name)
    for doubt, hosts in doubts.items():
        yield f"written as pulled, and how it was made cannot be told{_on(hosts, holders)}: {doubt}"
    contents: dict[Digest, list[HostName]] = {}
    for each in holders:
        contents.setdefault(each.inside.observed.models[name].digest, []).append(each.inside.host.name)
    if isinstance(source, Pull) and len(contents) > 1:
        told = "; ".join(
            f"sha256:{digest.short}{_on(hosts, holders)}"
            for digest, hosts in sorted(contents.items(), key=lambda both: (-len(both[1]), both[0]))
        )
        yield f"not the same content everywhere: {told}"


def _on(hosts: list[HostName], holders: list[Origins], most: int = 3) -> str:
    if len(hosts) == len(holders):
        return ""
    more = f" and {len(hosts) - most} more" if len(hosts) > most else ""
    return f" on {', '.join(hosts[:most])}{more}"
