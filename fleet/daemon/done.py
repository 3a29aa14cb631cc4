"""What came of a host in a pass. A value."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.names import HostName
from fleet.reconcile.observed import Observation
from fleet.reconcile.report import Report
from fleet.reconcile.step import Plan


@dataclass(frozen=True, slots=True)
class Done:
    """One host; or all of them, of a pass that did not work on them apart."""

    host: HostName
    plan: Plan | None
    """Nothing where it was not looked at."""
    report: Report | None = None
    """Where steps were carried out."""
    observation: Observation | None = None
    held: int = 0
    """Steps that were left for later, since they failed lately."""
    cut: bool = False
    """Whether it was left because of the daemon's end."""

    @property
    def looked(self) -> bool:
        """Whether anything is known of it from this pass."""
        return self.plan is not None or self.report is not None or self.observation is not None
