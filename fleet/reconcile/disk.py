"""What a host's disk still takes, where the inventory says how much it has in all (`capacity.disk`). Pure.

Hosts do not tell their free space. What models take is added up from the listing: aliases once, models made from a
listed base not at all, since they share its weights. Former contents are kept until the new ones are verified, so that
nothing that this plan takes away counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fleet.codes import Code
from fleet.manifest.item import Create, HostDesired
from fleet.ollama.versions import Capability, has
from fleet.quantities import show_size
from fleet.reconcile.difference import Blocked, Difference, State
from fleet.reconcile.observed import Observed


class Disk:
    """One host's disk while its items are gone through, what they need first."""

    def __init__(self, desired: HostDesired, observed: Observed) -> None:
        self._all = desired.host.capacity.disk
        self._observed = observed
        self._used = 0 if self._all is None else _used(desired, observed)
        self._coming: set[object] = set()
        """What was counted for an item before: layers, blobs, and what is made of them."""

    def held(self, item: Difference) -> Difference:
        """The item as it is, or blocked where what it brings does not fit beside the items before it."""
        if self._all is None or item.state is not State.DIFFERS:
            return item
        new = {key: size for key, size in self._brings(item) if key not in self._coming}
        needed = sum(new.values())
        if needed and self._used + needed > self._all:
            message = (
                f"it needs {show_size(needed)}; of the host's {show_size(self._all)}, {show_size(self._used)} are"
                " taken, or planned for what comes before it"
            )
            blocked = Blocked(Code.DISK_TOO_SMALL, message, hint=Code.DISK_TOO_SMALL.cure)
            return replace(item, state=State.BLOCKED, reason=None, changes=(), blocked=blocked, blobs=())
        self._used += needed
        self._coming |= new.keys()
        return item

    def _brings(self, item: Difference) -> Iterator[tuple[object, int]]:
        """What comes to the host with its bytes, as far as they are known; the same thing by the same key."""
        if item.fetch is not None:
            yield from (item.fetch.missing or {}).items()
        source = item.item.source
        if not isinstance(source, Create):
            return
        for blob in item.blobs:
            yield blob.digest or blob.files, blob.size
        made_anew = source.quantize is not None or has(self._observed.version, Capability.IMPORT_REWRITTEN)
        if made_anew and source.files:
            yield (source.files, source.quantize), sum(blob.size for blob in item.blobs)


def _used(desired: HostDesired, observed: Observed) -> int:
    derived = {
        item.name
        for item in desired.items
        if isinstance(item.source, Create) and item.source.base is not None and item.source.base in observed.models
    }
    sizes = {present.digest: present.size for name, present in observed.models.items() if name not in derived}
    return sum(sizes.values())
