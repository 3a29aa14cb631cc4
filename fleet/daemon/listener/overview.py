"""What the page shows of the fleet, as values: what needs a person, what moves, groups, pages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.daemon.listener.tally import Tally, rank
from fleet.daemon.status import WORST, Condition, FleetStatus, HostStatus, ItemStatus, Moving, SourceState
from fleet.names import HostName, ModelName
from fleet.render.words import counted

PAGE = 50
"""Hosts on one page."""
_MOVING = 12
_HELD = 30


@dataclass(frozen=True, slots=True)
class Band:
    """One condition's part of a bar, in percent."""

    condition: Condition
    count: int
    start: float
    width: float


def bands(counts: Mapping[Condition, int]) -> list[Band]:
    """Those that are there, problems first. Together they are as wide as the bar."""
    total = sum(counts.values())
    found: list[Band] = []
    start = 0.0
    for condition in WORST:
        if count := counts.get(condition, 0):
            width = count / total * 100
            found.append(Band(condition, count, round(start, 2), round(width, 2)))
            start += width
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """A step at work."""

    host: HostName
    model: ModelName
    moving: Moving


def moving_steps(tally: Tally) -> tuple[list[Step], int]:
    """The first of them, and how many there are besides."""
    steps = [
        Step(name, item.model, item.moving)
        for name in sorted(tally.moving)
        if (host := tally.board.hosts.get(name)) is not None
        for item in host.items
        if item.moving is not None
    ]
    return steps[:_MOVING], max(len(steps) - _MOVING, 0)


@dataclass(frozen=True, slots=True)
class Held:
    """What a guard holds back, of one host or of the whole pass."""

    host: HostName | None
    sentence: str


def held(tally: Tally, fleet: FleetStatus) -> tuple[list[Held], int]:
    """The first of them, and how many there are besides."""
    found = [Held(None, sentence) for sentence in fleet.refusals]
    for name in sorted(tally.held):
        host = tally.board.hosts.get(name)
        found += [Held(name, sentence) for sentence in host.refusals] if host is not None else []
    return found[:_HELD], max(len(found) - _HELD, 0)


def verdict(hosts: Mapping[Condition, int], source: SourceState) -> str:
    """The one sentence on top."""
    total = sum(hosts.values())
    ready = hosts.get(Condition.READY, 0)
    if not total:
        return "No host is known yet" if source is SourceState.NONE else "No host is declared"
    if ready == total:
        return "The host is as desired" if total == 1 else f"All {total} hosts are as desired"
    return f"{ready} of {counted(total, 'host')} {'is' if ready == 1 else 'are'} as desired"


def short_summary(hosts: Mapping[Condition, int], source: SourceState) -> str:
    """What is read aloud when it changes, so without anything that changes all the time."""
    rest = ", ".join(
        f"{count} {condition}"
        for condition in WORST
        if condition is not Condition.READY and (count := hosts.get(condition, 0))
    )
    wrong = {
        SourceState.BROKEN: "; the manifests are broken",
        SourceState.UNREACHABLE: "; the manifests are unreachable",
    }
    return verdict(hosts, source) + (f": {rest}" if rest else "") + wrong.get(source, "")


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts with the same value of a label, or all of them."""

    value: str | None
    """Nothing where the hosts do not have the label, or are not grouped."""
    hosts: tuple[HostStatus, ...]
    """Those on this page."""
    counts: Mapping[Condition, int]
    """Of all its hosts, on whatever page."""


def grouped(hosts: Sequence[HostStatus], label: str, page: int) -> list[Group]:
    """One page of the hosts, parted by a label. Groups with problems come first, hosts without the label last."""
    if not label:
        return [Group(None, tuple(on_page(hosts, page)), Counter(host.condition for host in hosts))]
    by_value: dict[str | None, list[HostStatus]] = {}
    for host in hosts:
        by_value.setdefault(host.labels.get(label), []).append(host)
    order = sorted(by_value, key=lambda value: (value is None, rank(by_value[value][0].condition), value or ""))
    shown = {host.name for host in on_page([host for value in order for host in by_value[value]], page)}
    groups = [
        Group(
            value,
            tuple(host for host in by_value[value] if host.name in shown),
            Counter(host.condition for host in by_value[value]),
        )
        for value in order
    ]
    return [group for group in groups if group.hosts]


def pages(total: int) -> int:
    return max((total + PAGE - 1) // PAGE, 1)


def on_page(hosts: Sequence[HostStatus], page: int) -> Sequence[HostStatus]:
    """`page` counts from 1."""
    return hosts[(page - 1) * PAGE : page * PAGE]


@dataclass(frozen=True, slots=True)
class Row:
    """One host with its items, parted into those to read and those that are fine."""

    host: HostStatus
    problems: tuple[ItemStatus, ...]
    more: int
    """Problems that are not shown here."""
    ready: tuple[ItemStatus, ...]


_PROBLEMS = 6


def row(host: HostStatus, models: frozenset[ModelName] | None, condition: Condition | None) -> Row:
    """With the models that were asked for, or all of them; problems first."""
    items = [
        item
        for item in host.items
        if (models is None or item.model in models) and (condition is None or item.condition is condition)
    ]
    # Nothing is known of any item of such a host, and the host says so itself.
    silent = host.condition is Condition.UNKNOWN and condition is None and models is None
    wrong = [] if silent else sorted((item for item in items if not fine(item)), key=lambda item: rank(item.condition))
    limit = len(wrong) if len(wrong) == _PROBLEMS + 1 else _PROBLEMS
    return Row(host, tuple(wrong[:limit]), len(wrong[limit:]), tuple(item for item in items if fine(item)))


def fine(item: ItemStatus) -> bool:
    return item.condition is Condition.READY and item.moving is None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model over all hosts."""

    model: ModelName
    counts: Mapping[Condition, int]
    wrong: tuple[HostName, ...]
    """The first of the hosts on which it is not as desired."""
    more: int


def model_rows(tally: Tally, models: frozenset[ModelName] | None) -> list[ModelRow]:
    """Problems first, then by name."""
    rows: list[ModelRow] = []
    for model, by_condition in tally.models.items():
        if models is not None and model not in models:
            continue
        counts = {condition: len(hosts) for condition, hosts in by_condition.items()}
        wrong = [
            name
            for condition in WORST
            if condition is not Condition.READY
            for name in sorted(by_condition.get(condition, ()))
        ]
        rows.append(ModelRow(model, counts, tuple(wrong[:_PROBLEMS]), max(len(wrong) - _PROBLEMS, 0)))
    return sorted(rows, key=lambda each: (min(map(rank, each.counts), default=0), each.model))
