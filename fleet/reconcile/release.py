"""Models that fleet warmed and that are not declared warm any more (`design.md` 6). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from fleet.names import ModelName
from fleet.reconcile.difference import Difference, Release
from fleet.reconcile.observed import Observed
from fleet.reconcile.warm import runner_of
from fleet.state.remembered import OptionValues


def releases(
    items: Mapping[ModelName, Difference],
    observed: Observed,
    loaded: Mapping[ModelName, OptionValues],
    gone: frozenset[ModelName],
    longest: float,
    *,
    undeclared: bool,
) -> tuple[Release, ...]:
    """What is to go back to the server's own duration, by name: in memory for more than `longest` seconds, loaded by
    fleet, and shared with no model that is declared warm. With `undeclared`, also what no entry names any more.
    """
    known = loaded.keys() if undeclared else loaded.keys() & items.keys()
    return tuple(_releases(items, observed, {name: loaded[name] for name in known}, gone, longest))


def _releases(
    items: Mapping[ModelName, Difference],
    observed: Observed,
    loaded: Mapping[ModelName, OptionValues],
    gone: frozenset[ModelName],
    longest: float,
) -> Iterator[Release]:
    warm = {name for name, item in items.items() if item.item.warm is not None}
    held = {runner_of(name, observed) for name in warm}
    for name in sorted(loaded.keys() - warm - gone):
        runner = runner_of(name, observed)
        if runner is None or runner in held or runner.expires_at is None or observed.at is None:
            continue
        if runner.expires_at - observed.at > timedelta(seconds=longest):
            yield Release(observed.models[name], loaded[name])
