"""Values of what the last pass of a fleet left behind, for the guards that compare with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.names import HostName, ModelName
from fleet.state.evidence import Begun, Checked, Evidence, Made, Pushed

OptionValues = Mapping[str, str | int | float | bool | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class HostRemembered:
    """One host as it was last seen."""

    url: str
    """Where; another machine's past tells nothing."""
    models: frozenset[str] = frozenset()
    """`ModelName.key` of all that it listed."""
    loaded: Mapping[ModelName, OptionValues] = field(default_factory=dict)
    """The options of fleet's own last load of a model that it has not released since."""
    evidence: Mapping[ModelName, Evidence] = field(default_factory=dict)
    """Of created models."""
    checked: Mapping[ModelName, Checked] = field(default_factory=dict)
    borrowed: frozenset[ModelName] = frozenset()
    """Names that fleet itself put there for the time of one step, and that a killed run may have left."""
    made: Mapping[ModelName, Made] = field(default_factory=dict)
    """What fleet put there, by declared name."""
    begun: Mapping[ModelName, Begun] = field(default_factory=dict)
    """What is under way, or was when a run was killed or gave up waiting: the host may still be at it."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One fleet, by its `name`."""

    items: Mapping[str, int] = field(default_factory=dict)
    """How much was asked of all hosts together, by scope: only passes of one scope can be compared."""
    hosts: Mapping[HostName, HostRemembered] = field(default_factory=dict)
    pushed: Mapping[ModelName, Pushed] = field(default_factory=dict)
    """What was published, by model: one host does it for all."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Which manifests speak for the fleet, by scope: those of the first pass, until a person accepts others."""
