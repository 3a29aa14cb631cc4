"""Entries that install nothing but what the lock file says. Pure."""

from __future__ import annotations

from fleet.manifest.inventory import Update
from fleet.manifest.item import Desired, Item, Pull


def following_lock(desired: Desired) -> tuple[Item, ...]:
    """Each such item once, however many hosts share it, by name. A pin stands above the lock file."""
    found = {
        id(item): item
        for host in desired.hosts.values()
        for item in host.items
        if isinstance(item.source, Pull) and item.source.update is Update.LOCKED and item.source.pin is None
    }
    return tuple(sorted(found.values(), key=lambda item: item.name.key))
