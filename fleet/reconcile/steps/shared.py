"""What all hosts of one pass share while their steps are carried out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleet.manifest.inventory import Host
from fleet.names import ModelName
from fleet.reconcile.steps.uploads import Uploads
from fleet.registry.served import Served
from fleet.state.memory import Memory

Ask = Callable[[ModelName], Awaitable[Served | None]]
"""What a registry serves under a name at this moment; nothing where registries are not to be asked."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The record that is kept, the uploads that are under way, the registries to ask."""

    memory: Memory
    uploads: Uploads
    ask: Ask
    revision: str
    """Of the desired state, for the evidence."""
    insecure: frozenset[str] = frozenset()
    """Registries that speak plain HTTP, in lower case."""

    def borrowed(self, host: Host) -> frozenset[ModelName]:
        """Names that fleet put on the host for the time of one step, and has not given back."""
        known = self.memory.remembered().hosts.get(host.name)
        return known.borrowed if known is not None and known.url == host.url else frozenset()
