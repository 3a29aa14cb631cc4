"""Observes each host as a pass does: 40 models are declared and listed, so that version, tags and ps are asked once.

The argument says how many hosts; their ports come as JSON by standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

from open_files import allow_open_files
from replies import NAMES
from spent import spent

from fleet.manifest.inventory import Host, Place
from fleet.manifest.item import HostDesired, Item, Pull
from fleet.names import HostName, ModelName
from fleet.reconcile.observe import observe_all
from fleet.reconcile.observed import Observation, Observed
from fleet.settings import Settings

PLACE = Place("manifest.yaml", 1, 1)


def desired(ports: list[int]) -> list[HostDesired]:
    items = tuple(Item(ModelName.parse(name), Pull(), PLACE) for name in sorted(NAMES))
    return [
        HostDesired(Host(HostName(f"host-{number:04}"), f"http://127.0.0.1:{port}", PLACE), items)
        for number, port in enumerate(ports)
    ]


def seen(host: HostName, observation: Observation) -> None:
    """Nobody waits for single hosts here."""


allow_open_files()
hosts = desired(json.load(sys.stdin)[: int(sys.argv[1])])
with spent():
    found = asyncio.run(observe_all(hosts, Settings(parallelism=32), seen))
for observation in found.values():
    assert isinstance(observation, Observed), observation
    assert len(observation.models) == len(NAMES)
    assert len(observation.runners) == 1
