"""`docs/simulator.md` is complete: its examples are read, and it names every key, fault, parameter and call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from fleet.cli import simulate
from fleet.simulate.answers import Answer
from fleet.simulate.calls import HOST_KINDS, REGISTRY_KINDS
from fleet.simulate.faults import Fault, FaultKind
from fleet.simulate.scenario import HostSpec, OfferedModel, RegistrySpec, parse_scenario

REFERENCE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text("utf-8")
WORDS = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", REFERENCE))))


def test_its_scenarios_are_read() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)
    assert examples
    for example in examples:
        assert parse_scenario(example).hosts


@pytest.mark.parametrize("part", [HostSpec, OfferedModel, RegistrySpec, Fault, Answer])
def test_it_names_every_key(part: type[BaseModel]) -> None:
    assert set(part.model_fields) - WORDS == set()


def test_it_names_every_fault_and_kind_of_request() -> None:
    assert {str(kind) for kind in FaultKind} | HOST_KINDS | REGISTRY_KINDS <= WORDS


def test_it_tells_the_default_ports() -> None:
    for port in (simulate.DEFAULT_PORT, simulate.DEFAULT_REGISTRY_PORT, simulate.DEFAULT_CONTROL_PORT):
        assert f"| {port} |" in REFERENCE
