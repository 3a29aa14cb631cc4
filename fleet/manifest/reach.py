"""Which hosts each selector chooses: worked out once a selector, as sets of hosts in one number each.

Pure. Bit n of a set is the n-th host by name; `and` of two sets is then one operation, for a thousand hosts too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fleet.manifest.faults import Faults, TooManyFaults
from fleet.manifest.inventory import Host
from fleet.manifest.selector import Selector, nearest_key
from fleet.manifest.written import Entry, Where
from fleet.names import HostName

MOST_SELECTORS = 5000
"""Different ones: each is asked of each host."""
Hosts = int
"""A set of hosts."""


class Reach:
    """Answers which hosts an entry reaches. Selectors that choose none go to `faults` once."""

    def __init__(self, hosts: Mapping[HostName, Host], faults: Faults, *, partial: bool) -> None:
        self.hosts = tuple(hosts.values())
        self.all: Hosts = (1 << len(self.hosts)) - 1
        self._faults = faults
        self._partial = partial
        self._chosen: dict[Selector, Hosts] = {}
        self._labels = frozenset(label for host in self.hosts for label in host.labels)

    def chosen(self, where: Where | None) -> Hosts:
        if where is None:
            return self.all
        found = self._chosen.get(where.selector)
        if found is None:
            if len(self._chosen) == MOST_SELECTORS:
                self._faults.add(where.place, where.path, f"more than {MOST_SELECTORS:,} different selectors in all")
                raise TooManyFaults
            found = 0
            for number, host in enumerate(self.hosts):
                if where.selector.matches(host):
                    found |= 1 << number
            self._chosen[where.selector] = found
        return found

    def entry(self, entry: Entry) -> Hosts:
        """The hosts of an entry, after its document's selector and its own."""
        outer = self.chosen(entry.within)
        reached = outer & self.chosen(entry.where)
        # A document's selector that chooses nothing is told once, where it stands.
        if not reached and outer and entry.where is not None and not entry.allow_empty:
            both = self.chosen(entry.where) != 0
            self._none(entry.where, "no host matches both this and the document's `where`" if both else None)
        return reached

    def documents(self, entries: Iterable[Entry]) -> None:
        """Tells of selectors of whole documents that choose nothing, unless every entry there allows it."""
        told: set[Where] = set()
        for entry in entries:
            where = entry.within
            if where is not None and not entry.allow_empty and where not in told and not self.chosen(where):
                told.add(where)
                self._none(where, None)

    def override(self, entry: Entry, where: Where, reached: Hosts) -> Hosts:
        """The hosts of an entry that an override is for."""
        found = self.chosen(where) & reached
        if not found and reached and not entry.allow_empty:
            both = self.chosen(where) != 0
            self._none(where, "no host of this entry matches it" if both else None)
        return found

    def _none(self, where: Where, text: str | None) -> None:
        if self._partial:
            return
        hint = None if text else nearest_key(where.selector, self._labels)
        self._faults.add(where.place, where.path, text or "no host matches", hint or _ALLOW)


_ALLOW = "if that is meant, say `allow_empty: true` in the entry"


def members(hosts: Hosts) -> Iterator[int]:
    """The numbers of the hosts in a set."""
    while hosts:
        lowest = hosts & -hosts
        yield lowest.bit_length() - 1
        hosts ^= lowest
