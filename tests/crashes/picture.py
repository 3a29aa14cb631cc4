"""What a simulated fleet holds at one moment, to be put back: every try begins from the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fleet.simulate.blobs import Blob
from fleet.simulate.image import Stored
from fleet.simulate.modelname import Name
from fleet.simulate.registry import Repository
from fleet.simulate.runners import Runner
from fleet.simulate.server import Simulation


@dataclass(frozen=True, slots=True)
class HostPicture:
    """Nothing of it is changed by what the host does afterwards."""

    files: Mapping[Name, Stored]
    blobs: Mapping[str, Blob]
    converted: Mapping[str, str]
    runners: Mapping[str, Runner]


@dataclass(frozen=True, slots=True)
class RegistryPicture:
    repositories: Mapping[str, Repository]
    blobs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    hosts: Mapping[str, HostPicture]
    registries: Mapping[str, RegistryPicture]


def take(simulation: Simulation) -> Picture:
    """To be called while nobody asks the fleet anything."""
    hosts = {}
    for name, host in simulation.hosts.items():
        store, runners = host.engine.store, host.engine.runners
        hosts[name] = HostPicture(
            dict(store._files),
            {digest: replace(blob) for digest, blob in store.blobs},
            dict(store.converted),
            {key: _copied(runner) for key, runner in runners._loaded.items()},
        )
    registries = {
        name: RegistryPicture(
            {path: _repository(each) for path, each in running.store.repositories.items()}, dict(running.store.blobs)
        )
        for name, running in simulation.registries.items()
    }
    return Picture(hosts, registries)


def put_back(simulation: Simulation, picture: Picture) -> None:
    """To be called while nobody asks the fleet anything."""
    for name, kept in picture.hosts.items():
        store, runners = simulation.hosts[name].engine.store, simulation.hosts[name].engine.runners
        store._files = dict(kept.files)
        store.converted = dict(kept.converted)
        store.blobs._blobs = {digest: replace(blob) for digest, blob in kept.blobs.items()}
        store.blobs._finished = sum(blob.content.size for blob in kept.blobs.values())
        store.blobs._partial = {}
        runners._loaded = {key: _copied(runner) for key, runner in kept.runners.items()}
    for name, registry in picture.registries.items():
        running = simulation.registries[name].store
        running.repositories = {path: _repository(each) for path, each in registry.repositories.items()}
        running.blobs = dict(registry.blobs)


def _copied(runner: Runner) -> Runner:
    return replace(runner, active=0, loading=False, released=asyncio.Event())


def _repository(known: Repository) -> Repository:
    return Repository(dict(known.tags), dict(known.manifests), set(known.blobs), dict(known.offered), known.private)
