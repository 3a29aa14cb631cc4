"""How many hosts are worked on at once: as many as is wanted, and as this process has files for."""

from __future__ import annotations

import resource

_OWN = 16
"""Files of the process itself: the loop's, the record's, the lock's, logs, and one that is being read."""
_EACH = 2
"""Connections to one host: an upload has one of its own beside the one that asks."""


def at_once(wanted: int, limit: int | None = None) -> int:
    """At least one and at most `wanted`. `limit` is how many files the process may have open; by default what the system
    says.

    More hosts at once than there are files for would fail, and say nothing about the hosts.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    if limit == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (limit - _OWN) // _EACH))
