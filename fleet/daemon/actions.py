"""What people and hooks can ask a running daemon for; the listener carries it over, the loop does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from fleet.daemon.status import PassStatus
from fleet.names import HostName


class Actions(Protocol):
    """All return at once; what is asked for happens later. None is called before its caller has proven who it is."""

    def reconcile(self, trigger: str, hosts: Sequence[HostName] = ()) -> None:
        """Wants a pass soon, over these hosts or all; `trigger` is told in the history. Back-off of what is named ends."""

    def source_moved(self, ref: str | None) -> None:
        """The source should be looked at now, if it follows this ref: a push was announced. Nothing: any may have moved."""

    def suspend(self, host: HostName, until: datetime | None, reason: str) -> None:
        """Leaves a host alone from now on. Raises `KeyError` for a host that the inventory does not have, `StateError`."""

    def resume(self, host: HostName) -> None:
        """Takes a suspension back that somebody gave by `suspend`. Raises as `suspend` does, and `ValueError` where the
        inventory itself suspends the host.
        """

    def history(self, limit: int, before: int | None = None) -> Sequence[PassStatus]:
        """Passes with a number below `before`, newest first."""

    def pass_document(self, number: int) -> dict[str, Any] | None:
        """One pass with its plan and results, as `fleet history N -o json` prints it; nothing for one not kept."""
