"""What a request asks for, read from its query: filters, groups, pages, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from fleet.daemon.listener.answers import Refused
from fleet.daemon.listener.tally import Tally
from fleet.daemon.status import Condition, HostStatus
from fleet.manifest.glob import compiled
from fleet.names import HostName, ModelName

_LONGEST = 200
"""Characters of a glob or a label."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which hosts. Empty texts mean all."""

    condition: Condition | None = None
    """The host's own, or that of one of its items."""
    host: str = ""
    """A glob."""
    model: str = ""
    """A glob; with `condition`, a model in that condition."""

    @property
    def narrows(self) -> bool:
        return bool(self.condition or self.host or self.model)

    def models(self, tally: Tally) -> frozenset[ModelName]:
        """The names that the glob means."""
        if not self.model:
            return frozenset()
        glob = compiled(self.model)
        # `qwen3` is `qwen3:latest`, here as everywhere.
        return frozenset(name for name in tally.models if glob.match(str(name)) or glob.match(_without_latest(name)))

    def chosen(self, tally: Tally) -> list[HostStatus]:
        """In the tally's order, as they are on the board now: when a host was seen last is no change that is counted."""
        hosts = tally.in_order
        if self.host:
            glob = compiled(self.host)
            hosts = [host for host in hosts if glob.match(host.name)]
        if self.model:
            having = tally.matching(self.models(tally), self.condition)
            hosts = [host for host in hosts if host.name in having]
        elif self.condition is not None:
            having = tally.matching(tally.models, self.condition)
            hosts = [host for host in hosts if host.condition is self.condition or host.name in having]
        now = tally.board.hosts
        return [now.get(host.name, host) for host in hosts]


def filter_of(query: Mapping[str, str]) -> Filter:
    """Raises `Refused` for a condition that is none, and for a text that is too long."""
    condition = query.get("condition", "")
    try:
        wanted = Condition(condition) if condition else None
    except ValueError:
        raise Refused(
            400,
            "no-such-condition",
            "`condition` is none that there is",
            f"it is one of {', '.join(Condition)}",
        ) from None
    return Filter(wanted, text_of(query, "host"), text_of(query, "model"))


def text_of(query: Mapping[str, str], name: str) -> str:
    text = query.get(name, "").strip()
    if len(text) > _LONGEST:
        raise Refused(400, "too-long", f"`{name}` is longer than {_LONGEST} characters")
    return text


def number_of(query: Mapping[str, str], name: str, default: int | None, *, most: int) -> int | None:
    """A whole number from 1. Raises `Refused`."""
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= 1):
        raise Refused(400, "no-number", f"`{name}` is no whole number from 1")
    return min(int(text), most)


def host_name(text: str) -> HostName:
    """Without a look whether there is one: a lookup follows. Raises `Refused`."""
    try:
        return HostName.parse(text)
    except ValueError:
        raise Refused(404, "no-such-host", "the inventory has no host of this name") from None


def address(path: str, **query: object) -> str:
    """A path with those parts of a query that say something."""
    said = {name: str(value) for name, value in query.items() if value}
    return f"{path}?{urlencode(said)}" if said else path


def _without_latest(name: ModelName) -> str:
    return str(name).removesuffix(":latest")
