"""What came of a rehearsal. Values; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet.errors import ExitCode, highest_ranked
from fleet.names import HostName
from fleet.reconcile.report import Report, exit_code
from fleet.reconcile.step import Action, Plan


@dataclass(frozen=True, slots=True)
class Transfer:
    """What has to be moved to one host, in bytes."""

    host: HostName
    downloads: int
    """From registries."""
    uploads: int
    """From the machine where fleet runs."""

    def seconds(self, bandwidth: float) -> float:
        """How long it takes on a line that the host has for itself, at so many bytes per second."""
        return (self.downloads + self.uploads) / bandwidth


@dataclass(frozen=True, slots=True)
class Loaded:
    """One model in memory."""

    name: str
    size: int
    """Bytes, as the host told, or as the simulator reckons: the weights."""


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What is in one host's memory before and after."""

    host: HostName
    capacity: int | None
    """Bytes, as the inventory says."""
    before: tuple[Loaded, ...]
    after: tuple[Loaded, ...]
    evicted: tuple[Loaded, ...]
    """What was there before and had to make room, though no step takes it away."""


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes that blobs take on one host's disk."""

    host: HostName
    capacity: int | None
    before: int
    after: int
    peak: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All of it."""

    taken_at: str
    """When the snapshot was taken."""
    report: Report
    """The pass on the copies."""
    again: Plan
    """What is planned afterwards."""
    bandwidth: float
    """Bytes per second."""
    transfers: tuple[Transfer, ...] = ()
    memory: tuple[MemoryUse, ...] = ()
    disks: tuple[DiskUse, ...] = ()
    notes: tuple[str, ...] = ()
    """In what the copies are not the hosts, in whole sentences."""

    @property
    def converges(self) -> bool:
        """Whether nothing is left to do afterwards."""
        return not self.again.steps

    @property
    def parallel(self) -> float:
        """Seconds of all transfers where each host has a line of its own: those of the slowest."""
        return max((transfer.seconds(self.bandwidth) for transfer in self.transfers), default=0.0)

    @property
    def shared(self) -> float:
        """Seconds of all transfers where they share one line."""
        return sum(transfer.seconds(self.bandwidth) for transfer in self.transfers)


def transfers_of(report: Report) -> tuple[Transfer, ...]:
    """By host, those with something to move. Downloads of which the plan does not know the size count as they came."""
    downloads: dict[HostName, int] = {}
    uploads: dict[HostName, int] = {}
    came = {result.step.number: result.bytes_in for result in report.results}
    for step in report.plan.steps:
        if step.action is Action.PULL:
            moved = came.get(step.number, 0) if step.bytes_in is None else step.bytes_in
            downloads[step.host] = downloads.get(step.host, 0) + moved
        elif step.action is Action.UPLOAD:
            uploads[step.host] = uploads.get(step.host, 0) + (step.bytes_in or 0)
    hosts = sorted(downloads.keys() | uploads.keys())
    found = (Transfer(host, downloads.get(host, 0), uploads.get(host, 0)) for host in hosts)
    return tuple(each for each in found if each.downloads or each.uploads)


def evicted(before: Mapping[str, Loaded], after: Iterable[str], taken_away: Iterable[str]) -> tuple[Loaded, ...]:
    """What is not in memory any more and was not to be taken away. By weights, `taken_away` by name."""
    there, meant = set(after), set(taken_away)
    return tuple(each for weights, each in before.items() if weights not in there and each.name not in meant)


def exit_code_of(rehearsal: Rehearsal, *, allowed_unobserved: int, detailed: bool) -> ExitCode:
    """As `fleet apply` would end, 3 too where something is left to do; `detailed` makes changes a code of their own."""
    codes = [exit_code(rehearsal.report, allowed_unobserved=allowed_unobserved, applied=True)]
    if not rehearsal.converges and not rehearsal.report.plan.refused:
        codes.append(ExitCode.PARTIAL)
    if detailed and rehearsal.report.plan.steps:
        codes.append(ExitCode.CHANGES_PENDING)
    return highest_ranked(codes)
