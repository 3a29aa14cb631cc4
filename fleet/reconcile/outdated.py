"""How the pulled models of hosts stand to the lock file and to what registries serve now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.observed import Observation, Observed, Present
from fleet.reconcile.pulled import Pulled
from fleet.registry.image import Image
from fleet.registry.locked import Locked
from fleet.registry.served import Published, Served, Unpublished


class Holding(StrEnum):
    """How one host stands to what the registry serves."""

    CURRENT = "current"
    OUTDATED = "outdated"
    MISSING = "missing"
    NOT_KNOWN = "not-known"
    """The registry does not tell, or the host lists something that cannot be compared."""
    UNOBSERVED = "unobserved"


@dataclass(frozen=True, slots=True)
class Held:
    """One model on one host."""

    host: HostName
    holding: Holding
    digest: Digest | None = None
    as_locked: bool | None = None
    """Nothing where the host does not hold it or the lock file does not have it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One model: what hosts hold, what was accepted, and what its registry serves."""

    name: ModelName
    origin: ModelName
    """What is asked: the name itself, or what is pulled in its place."""
    hosts: tuple[Held, ...]
    locked: Locked | None
    served: Served | None
    """Nothing where no registry was asked."""

    @property
    def image(self) -> Image | None:
        return self.served.image if isinstance(self.served, Published) else None

    @property
    def lock_outdated(self) -> bool:
        """Whether the registry serves something else than was accepted."""
        image = self.image
        return image is not None and self.locked is not None and not self.locked.digests & image.digests

    @property
    def hosts_outdated(self) -> bool:
        return any(held.holding is Holding.OUTDATED for held in self.hosts)

    @property
    def outdated(self) -> bool:
        return self.lock_outdated or self.hosts_outdated

    @property
    def unknown(self) -> Unpublished | None:
        """Why the registry's content is not known, if it was asked for."""
        return self.served if isinstance(self.served, Unpublished) else None


def compare(
    pulled: Iterable[Pulled],
    lock: Mapping[ModelName, Locked],
    observations: Mapping[HostName, Observation],
    served: Mapping[ModelName, Served],
) -> tuple[Compared, ...]:
    """Every model on the observed hosts for which it is declared: one for each name and place that it is pulled from."""
    found = []
    for each in pulled:
        for origin, hosts in sorted(each.sources.items()):
            there, locked = served.get(origin), lock.get(each.name)
            image = there.image if isinstance(there, Published) else None
            seen = (host for host in hosts if host in observations)
            held = tuple(_held(host, observations[host], each.name, image, locked) for host in seen)
            if held:
                found.append(Compared(each.name, origin, held, locked, there))
    return tuple(found)


def _held(
    host: HostName, observation: Observation, name: ModelName, image: Image | None, locked: Locked | None
) -> Held:
    if not isinstance(observation, Observed):
        return Held(host, Holding.UNOBSERVED)
    present = observation.models.get(name)
    if present is None:
        doubtful = name in observation.unreadable or any(name == one.name for one, _ in observation.collisions)
        return Held(host, Holding.NOT_KNOWN if doubtful else Holding.MISSING)
    as_locked = None if locked is None else present.digest in locked.digests
    return Held(host, _holding(present, image), present.digest, as_locked)


def _holding(present: Present, image: Image | None) -> Holding:
    if image is None or present.remote:
        return Holding.NOT_KNOWN
    return Holding.CURRENT if present.digest in image.digests else Holding.OUTDATED
