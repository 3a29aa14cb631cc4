"""What `fleet suspend` said holds for every run, with a daemon or without."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleet.cli.planning import note

if TYPE_CHECKING:
    from fleet.manifest.item import Desired
    from fleet.settings import Settings


def without_suspended(desired: Desired, settings: Settings) -> Desired:
    """The desired state with the hosts suspended that somebody suspended. Raises `StateError`."""
    from fleet.reconcile.suspending import with_suspensions
    from fleet.state.suspensions import Suspensions

    with Suspensions(settings.state_dir, desired.name) as suspensions:
        held = suspensions.all(datetime.now(UTC))
        note(suspensions.notes)
    return with_suspensions(desired, held)
