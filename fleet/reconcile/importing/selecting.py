"""The shortest selector that tells some hosts from all others of an inventory. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from fleet.manifest.faults import Misread
from fleet.manifest.inventory import Host
from fleet.manifest.selector import LONGEST, Selector
from fleet.names import HostName

Hosts = frozenset[HostName]

_MOST_VALUES = 5
"""In `site in (…)`: more of them tell a reader less than names."""


class Selecting:
    """Finds selectors among the hosts of one inventory; each set of hosts is worked out once."""

    def __init__(self, hosts: Mapping[HostName, Host]) -> None:
        self._hosts = hosts
        self._all = frozenset(hosts)
        self._known: dict[Hosts, tuple[tuple[str | None, Hosts], ...]] = {}
        self._single: dict[str, Hosts] = {}
        # A label's value says more than that the label is there.
        for part, name in sorted(_parts(hosts), key=lambda both: ("=" not in both[0], both)):
            self._single[part] = self._single.get(part, frozenset()) | {name}

    def chosen(self, hosts: Hosts) -> tuple[tuple[str | None, Hosts], ...]:
        """Selectors that together choose these hosts, each with its share; nothing means no selector is needed.

        One, unless so many names have to be written out that they do not fit into one.
        """
        if hosts not in self._known:
            text = None if hosts == self._all else next(self._told(hosts), None)
            if text is not None or hosts == self._all:
                self._known[hosts] = ((text, hosts),)
            else:
                self._known[hosts] = tuple(self._by_name(hosts))
        return self._known[hosts]

    def _told(self, hosts: Hosts) -> Iterator[str]:
        """Selectors by what the hosts have in common, checked by the grammar's own reading; the plainest first."""
        for text in self._candidates(hosts):
            try:
                selector = Selector.parse(text)
            except Misread:
                continue
            if frozenset(name for name, host in self._hosts.items() if selector.matches(host)) == hosts:
                yield text

    def _candidates(self, hosts: Hosts) -> Iterator[str]:
        around = {part: members for part, members in self._single.items() if members >= hosts}
        yield from (part for part, members in around.items() if members == hosts)
        yield from (f"{one},{other}" for one, other in combinations(around, 2) if around[one] & around[other] == hosts)
        for key in sorted({key for name in hosts for key in self._hosts[name].labels}):
            values = {self._hosts[name].labels.get(key) for name in hosts}
            if None not in values and 1 < len(values) <= _MOST_VALUES:
                yield f"{key} in ({','.join(sorted(value for value in values if value is not None))})"

    def _by_name(self, hosts: Hosts) -> Iterator[tuple[str, Hosts]]:
        share: list[HostName] = []
        length = 0
        for name in sorted(hosts):
            if share and length + len(name) > LONGEST - 20:
                yield _names(share), frozenset(share)
                share, length = [], 0
            share.append(name)
            length += len(name) + 1
        yield _names(share), frozenset(share)


def _names(hosts: list[HostName]) -> str:
    return f"name={hosts[0]}" if len(hosts) == 1 else f"name in ({','.join(hosts)})"


def _parts(hosts: Mapping[HostName, Host]) -> Iterator[tuple[str, HostName]]:
    """What single requirements could be about, with each host for which they hold."""
    for name, host in hosts.items():
        if host.group is not None:
            yield f"group={host.group}", name
        for key, value in host.labels.items():
            yield key, name
            if value:
                yield f"{key}={value}", name
