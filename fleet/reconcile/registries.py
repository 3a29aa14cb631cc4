"""From the inventory to a client that asks its registries."""

from __future__ import annotations

from fleet.manifest.item import Desired
from fleet.registry.addresses import registries
from fleet.registry.client import Registries
from fleet.settings import Settings


def registries_of(desired: Desired, settings: Settings) -> Registries:
    """A client for one run; nothing is sent before it is used."""
    return registries(desired.registries, settings)
