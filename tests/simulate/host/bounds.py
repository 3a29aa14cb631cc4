"""Tables of behaviours and of the releases that brought or dropped them, each tried just before and just after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleet.simulate.versions import Capability

Probe = Callable[..., bool]


class Bounds:
    """Probes by capability. A probe says whether the host that it is given behaves so."""

    def __init__(self) -> None:
        self._rows: dict[Capability, tuple[Probe, str, str]] = {}

    def probe(self, capability: Capability, *, since: str = "", dropped: str = "") -> Callable[[Probe], Probe]:
        """`since` is the first release that behaves so, `dropped` the first that does not any more."""

        def add(probe: Probe) -> Probe:
            self._rows[capability] = (probe, since, dropped)
            return probe

        return add

    @property
    def capabilities(self) -> set[Capability]:
        return set(self._rows)

    def cases(self) -> list[Any]:
        """Probe, version, and whether that version behaves so."""
        return [
            (probe, version, expected)
            for probe, since, dropped in self._rows.values()
            for version, expected in [
                *([(before(since), False), (since, True)] if since else []),
                *([(before(dropped), True), (dropped, False)] if dropped else []),
            ]
        ]

    def ids(self) -> list[str]:
        return [f"{probe.__name__}-{version}" for probe, version, _ in self.cases()]


_LAST = {"0.3": 14, "0.4": 7, "0.5": 13, "0.6": 8, "0.7": 1, "0.8": 0, "0.9": 6, "0.10": 1, "0.11": 11, "0.13": 5}
_LAST |= {"0.12": 11, "0.14": 3, "0.15": 6, "0.16": 3, "0.17": 7, "0.18": 3, "0.19": 0, "0.20": 7, "0.21": 3, "0.29": 1}
"""The last release of a series."""


def before(release: str) -> str:
    """The release before this one."""
    major, minor, patch = map(int, release.split("."))
    if patch:
        return f"{major}.{minor}.{patch - 1}"
    series = f"{major}.{minor - 1}"
    return f"{series}.{_LAST[series]}"
