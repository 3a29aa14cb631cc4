"""Registries of a running simulation: each with its contents, what goes wrong with it, and the ports it is asked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.names import ModelName
from fleet.simulate import catalogue
from fleet.simulate.faults import FaultSet
from fleet.simulate.registry import Registry
from fleet.simulate.running import Port
from fleet.simulate.scenario import OfferedModel

_BUILT_AT_ONCE = 64_000_000
"""Bytes of weights up to which a model is made at the start; larger ones are hashed when first asked for."""


@dataclass(slots=True)
class RunningRegistry:
    """One store of images. `faces` are the names in models' names that lead to it, in lower case, and their ports."""

    name: str
    """What counters and the log of requests call it."""
    faults: FaultSet
    store: Registry = field(default_factory=Registry)
    faces: dict[str, Port] = field(default_factory=dict)
    hidden: bool = False
    """Whether hosts find no such name."""

    def offer(self, model: str, spec: OfferedModel) -> None:
        """Puts a model into the catalogue, or another content under its tag."""
        name = ModelName.parse(model)
        self.store.offer(name, catalogue.builder(str(name), spec), private=spec.private)
        if spec.size <= _BUILT_AT_ONCE:
            self.store.add(name, catalogue.build(str(name), spec))

    def urls(self) -> Mapping[str, str]:
        """Where each name is really asked."""
        return {name: f"http://127.0.0.1:{port.port}" for name, port in self.faces.items()}
