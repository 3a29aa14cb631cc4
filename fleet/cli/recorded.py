"""A one-shot in the history, beside the passes of a daemon: what was done by hand is looked for there too."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from fleet.daemon.done import Done
from fleet.daemon.ended import document_of, judge
from fleet.daemon.status import Outcome
from fleet.names import HostName
from fleet.reconcile.report import Report
from fleet.reconcile.run import Pass
from fleet.state.folder import StateError
from fleet.state.history import History

TRIGGER = "apply"


def record(work: Pass, report: Report, begun: datetime) -> None:
    """Keeps the pass with its plan and results. A history that cannot be written is no reason to fail."""
    done = Done(HostName("all"), report.plan, report)
    judged = judge([done])
    unseen = len(report.unobserved)
    message = judged.message or (f"not observed: {unseen}" if unseen else "")
    document = document_of([done]) if judged.outcome is not Outcome.UNCHANGED else None
    with suppress(StateError), History(work.settings.state_dir, work.desired.name) as history:
        # Nobody else is at work on this fleet, so what still runs by the history was killed.
        history.abandoned()
        number = history.begin(begun, (TRIGGER,), work.fingerprint)
        history.end(number, datetime.now(UTC), str(judged.outcome), judged.done, judged.failed, message, document)
        history.keep(work.settings.history_keep)
