"""What all hosts of one pass share while their steps are carried out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleet.manifest.inventory import Host
from fleet.names import HostName, ModelName
from fleet.reconcile.steps.breaker import Breaker
from fleet.reconcile.steps.uploads import Uploads
from fleet.registry.served import Served
from fleet.state.memory import Memory
from fleet.state.remembered import HostRemembered

Ask = Callable[[ModelName], Awaitable[Served | None]]
"""What a registry serves under a name at this moment; nothing where registries are not to be asked."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The record that is kept, the uploads that are under way, the registries to ask and those to leave alone."""

    memory: Memory
    uploads: Uploads
    ask: Ask
    breaker: Breaker
    """Which registries are left alone."""
    revision: str
    """Of the desired state, for the evidence."""
    insecure: frozenset[str] = frozenset()
    """Registries that speak plain HTTP, in lower case."""

    accepted: frozenset[HostName] = frozenset()
    """Hosts on which a person lets fleet make again what somebody else keeps changing."""
    emptied: frozenset[HostName] = frozenset()
    """Hosts that a person said were emptied: no stranger took away what is gone there."""

    def known(self, host: Host) -> HostRemembered:
        """What is recorded of the host at the address that it has now."""
        known = self.memory.remembered().hosts.get(host.name)
        return known if known is not None and known.url == host.url else HostRemembered(host.url)

    def borrowed(self, host: Host) -> frozenset[ModelName]:
        """Names that fleet put on the host for the time of one step, and has not given back."""
        return self.known(host).borrowed
