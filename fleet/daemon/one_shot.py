"""The metrics of one pass that ran by itself, for the text-file collector.

A process that ends forgets what it counted, and one that fails has no success to tell of. So numbers are added to those
of the file that is replaced, and moments that this pass cannot tell are taken from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.daemon.counters import BOUNDS, GUARDS, Counted, counters_of
from fleet.daemon.described import PREFIX
from fleet.daemon.metrics import Values, exposition, guard_word
from fleet.daemon.status import Outcome as PassOutcome
from fleet.daemon.textfile import write_textfile
from fleet.names import HostName
from fleet.reconcile.report import Outcome
from fleet.reconcile.step import Action
from fleet.state.attempts import RetryClass

if TYPE_CHECKING:
    from fleet.reconcile.report import Report

_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Former:
    """The samples of a text file, of one fleet."""

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, fleet: str) -> Former:
        """Nothing where there is no such file, or one that nobody can read: a metric is no reason to fail."""
        from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  # for these files alone

        try:
            with open(path, "rb") as file:
                text = file.read(_LARGEST).decode()
            return cls(
                {
                    (each.name, frozenset(each.labels.items()) - {("fleet", fleet)}): float(each.value)
                    for family in text_string_to_metric_families(text)
                    for each in family.samples
                    if each.labels.get("fleet") == fleet
                }
            )
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            return cls()

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get((PREFIX + name, frozenset(labels.items())))

    def count(self, name: str, **labels: str) -> int:
        """Nothing that was counted is negative or endless, whatever the file says."""
        found = self.value(name, **labels)
        return int(found) if found is not None and 0 <= found < 2**63 else 0

    def moment(self, name: str, **labels: str) -> datetime | None:
        found = self.value(name, **labels)
        try:
            return None if found is None else datetime.fromtimestamp(found, UTC)
        except (ValueError, OverflowError, OSError):
            return None


def write_one_shot(path: Path, report: Report, shown: Values, now: datetime) -> None:
    """Writes the metrics of a pass that ended, `shown` being how everything stands after it. Raises `FleetError`."""
    former = Former.read(path, shown.fleet.name)
    counted = _added(counters_of(report, outcome_of(report)).taken(), former, shown)
    write_textfile(path, exposition(_remembered(shown, former), counted, now))


def outcome_of(report: Report) -> PassOutcome:
    """How a pass ended that was not part of a daemon's history."""
    if report.interrupted is not None:
        return PassOutcome.CUT_SHORT
    if report.failures or report.plan.refused or report.not_remembered is not None:
        return PassOutcome.FAILED
    changed = any(result.outcome is Outcome.DONE for result in report.results)
    return PassOutcome.CHANGED if changed else PassOutcome.UNCHANGED


def _remembered(shown: Values, former: Former) -> Values:
    fleet = shown.fleet
    if fleet.last_success is None:
        fleet = replace(fleet, last_success=former.moment("last_success_timestamp_seconds"))
    hosts = tuple(
        host
        if host.converged is not None
        else replace(host, converged=former.moment("host_last_converged_timestamp_seconds", host=host.name))
        for host in shown.hosts
    )
    return Values(fleet, hosts)


def _added(counted: Counted, former: Former, shown: Values) -> Counted:
    ends = (*map(repr, BOUNDS), "+Inf")
    upto = [former.count("pass_duration_seconds_bucket", le=end) for end in ends]
    between = [max(here - before, 0) for before, here in zip([0, *upto], upto, strict=False)]
    return replace(
        counted,
        passes={each: counted.passes.get(each, 0) + former.count("passes_total", outcome=each) for each in PassOutcome},
        durations=tuple(a + b for a, b in zip(counted.durations, between, strict=True)),
        seconds=counted.seconds + _seconds(former),
        steps={
            (action, outcome): counted.steps.get((action, outcome), 0)
            + former.count("steps_total", action=action, outcome=outcome)
            for action in Action
            for outcome in Outcome
        },
        guards={
            code: counted.guards.get(code, 0) + former.count("guard_tripped_total", guard=guard_word(code))
            for code in GUARDS
        },
        retries={
            each: counted.retries.get(each, 0) + former.count("retries_total", **{"class": each}) for each in RetryClass
        },
        deletes={
            HostName(host.name): counted.deletes.get(host.name, 0) + former.count("deletes_total", host=host.name)
            for host in shown.hosts
        },
        received=counted.received + former.count("bytes_received_total"),
        uploaded=counted.uploaded + former.count("bytes_uploaded_total"),
    )


def _seconds(former: Former) -> float:
    found = former.value("pass_duration_seconds_sum")
    return found if found is not None and isfinite(found) and found >= 0 else 0.0
