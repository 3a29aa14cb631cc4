"""Reads the YAML of a scenario: no duplicate keys, no anchors, no depth that would take the C parser down."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

_LIMIT = 4 << 20
_DEPTH = 32


class ScenarioError(ValueError):
    """A scenario that cannot be used. `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Loader(yaml.CSafeLoader):
    """The safe loader, without its silence about a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: bytes | str, place: str) -> Any:
    """The document as plain values. Raises `ScenarioError` that says line and column."""
    if len(text) > _LIMIT:
        raise ScenarioError([f"{place}: larger than {_LIMIT >> 20} MiB"])
    try:
        _check_shape(text, place)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with duplicate keys refused
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        where = f"{place}:{mark.line + 1}:{mark.column + 1}" if mark else place
        raise ScenarioError([f"{where}: {fault.problem}"]) from fault
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise ScenarioError([f"{place}: {str(fault).splitlines()[0]}"]) from fault


def _check_shape(text: bytes | str, place: str) -> None:
    """Stops at the first event that is too deep, which costs nothing; the loader would recurse in C."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _fault(event, place, "aliases are not used in scenarios")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH:
                raise _fault(event, place, f"nested deeper than {_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _fault(event: yaml.Event, place: str, problem: str) -> ScenarioError:
    mark = event.start_mark
    return ScenarioError([f"{place}:{mark.line + 1}:{mark.column + 1}: {problem}" if mark else f"{place}: {problem}"])
