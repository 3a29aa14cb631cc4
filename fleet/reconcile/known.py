"""What is known of models beyond the hosts: what registries serve and what people accepted. Values; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.manifest.inventory import Update
from fleet.manifest.item import Item, Pull
from fleet.names import Digest, ModelName
from fleet.registry.image import Image
from fleet.registry.locked import Locked
from fleet.registry.served import Published, Served

SERVER_DEFAULT = 300.0
"""Seconds for which servers keep a model in memory unless told otherwise (`ollama-api.md` 12.3)."""


@dataclass(frozen=True, slots=True)
class Known:
    """One pass's knowledge, the same for all hosts."""

    served: Mapping[ModelName, Served] = field(default_factory=dict)
    """By the name that was asked for; what nobody asked about is not there."""
    locked: Mapping[ModelName, Locked] = field(default_factory=dict)
    """The lock file, by declared name."""
    forms: Mapping[Digest, frozenset[Digest]] = field(default_factory=dict)
    """All forms of digests of images that were seen at some time (4.2)."""
    rebuild_unverified: bool = False
    """Whether what nobody can prove is to be built anew."""
    release_to: float = SERVER_DEFAULT
    """Seconds that a model which is no longer declared warm stays in memory."""
    theirs: Mapping[str, Mapping[ModelName, str]] = field(default_factory=dict)
    """What other fleets put on hosts, by address and model: whose it is. Known where what nobody declares goes."""

    def image(self, name: ModelName) -> Image | None:
        """What its registry serves; nothing where that is not known."""
        found = self.served.get(name)
        return found.image if isinstance(found, Published) else None

    def accepted(self, item: Item, pull: Pull) -> frozenset[Digest] | None:
        """The only digests that the item may have, in all forms; nothing where any will do or none is known.

        A pin stands above everything; else the lock file or the registry tells, by what the entry follows.
        """
        if pull.pin is None and pull.update is Update.MISSING:
            return None
        served = self.image(asked(item, pull))
        if pull.pin is not None:
            return self._forms_of(pull.pin, served, self.locked.get(item.name))
        if pull.update is Update.LOCKED:
            locked = self.locked.get(item.name)
            return None if locked is None else locked.digests
        if pull.update is Update.ALWAYS and served is not None:
            return served.digests
        return None

    def expected(
        self, item: Item, served: Image | None, accepted: frozenset[Digest] | None, *, as_served: bool
    ) -> Digest | None:
        """The digest that a host is going to list of what is `served`, if it is among the `accepted`. The host keeps
        what it pulls `as_served` or writes it anew (4.2); nothing where that form of it is not known.
        """
        if accepted is None:
            return None if served is None else served.raw if as_served else served.normalised
        for found in (served, self.locked.get(item.name)):
            if found is not None and accepted & found.digests:
                return found.raw if as_served else found.normalised
        return next(iter(accepted)) if len(accepted) == 1 else None

    def _forms_of(self, pin: Digest, served: Image | None, locked: Locked | None) -> frozenset[Digest]:
        forms = frozenset({pin}) | self.forms.get(pin, frozenset())
        if served is not None and pin in served.digests:
            forms |= served.digests
        if locked is not None and pin in locked.digests:
            forms |= locked.digests
        return forms


def asked(item: Item, pull: Pull) -> ModelName:
    """The name that the content is known by in the registry which is pulled from."""
    return item.name if pull.origin is None else pull.origin


def fixed(pull: Pull) -> bool:
    """Whether only what a person accepted may be installed."""
    return pull.pin is not None or pull.update is Update.LOCKED
