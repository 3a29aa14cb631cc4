"""Hosts that somebody suspended by `fleet suspend`, told to the desired state as if the inventory said so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from fleet.manifest.item import Desired
from fleet.names import HostName
from fleet.state.suspensions import Suspension

_BY_WHOM = "by `fleet suspend`"


def with_suspensions(
    desired: Desired, suspensions: Mapping[HostName, Suspension], now: datetime | None = None
) -> Desired:
    """The same with those hosts only looked at; all values of other hosts stay what they are, and so does all of it
    where none is concerned. With `now`, suspensions that are over count for nothing.

    What the inventory itself says of a host stays. A suspension of a host that is not there concerns none.
    """
    held = {
        name: replace(
            desired.hosts[name], host=replace(desired.hosts[name].host, suspended=suspended_words(suspension))
        )
        for name, suspension in suspensions.items()
        if name in desired.hosts
        and desired.hosts[name].host.suspended is None
        and (now is None or suspension.holds(now))
    }
    if not held:
        return desired
    return replace(desired, hosts={name: held.get(name, host) for name, host in desired.hosts.items()})


def suspended_words(suspension: Suspension) -> str:
    """Why, and until when where that is limited: `new fans, until 2026-11-01T12:00:00Z`."""
    why = suspension.reason or _BY_WHOM
    if suspension.until is None:
        return why
    return f"{why}, until {suspension.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
