"""Whatever was declared and whatever happened, one pass in quiet makes a host as declared, and nothing is left to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.passes.asked_for import faults, undeclared
from tests.passes.happenings import Apply, Happening, histories
from tests.passes.world import World

VERSIONS = ("0.3.14", "0.9.6", "0.32.15")
OTHERS = tuple(pytest.param(version, marks=pytest.mark.long) for version in ("0.5.4", "0.5.13", "0.12.6", "0.24.0"))
LONG = os.environ.get("TESTS") == "long"
EXAMPLES = int(os.environ.get("EXAMPLES", "500")) if LONG else 3


@pytest.mark.parametrize("version", [*VERSIONS, *OTHERS])
@settings(
    max_examples=EXAMPLES,
    derandomize=not LONG,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(history=histories())
def test_after_quiet_a_pass_leaves_nothing_to_do(version: str, history: Sequence[Happening]) -> None:
    assert asyncio.run(played(version, history)) == []


async def played(version: str, history: Sequence[Happening]) -> list[str]:
    """What is wrong at the end, or with what was touched on the way."""
    with TemporaryDirectory() as folder:
        async with World(Path(folder), version) as world:
            for each in history:
                if not isinstance(each, Apply):
                    await world.happens(each)
                    continue
                before = undeclared(world)
                await world.passes(each)
                touched = list(_touched(world, before))
                if touched:
                    return touched
            return [each async for each in _in_quiet(world)]


async def _in_quiet(world: World) -> AsyncIterator[str]:
    before = undeclared(world)
    report = await world.passes()
    assert report is not None, "nobody killed it"
    if report.plan.blocked:
        # What stood in the way may have been mended by the way.
        report = await world.passes() or report
    for failure in report.failures:
        yield f"{failure.action} {failure.model}: {failure.message}"
    plan = await world.plan()
    for step in plan.steps:
        yield f"left to do: {step.action} {step.model} ({step.reason}) {step.changes}"
    for refusal in plan.refused:
        yield f"refused: {refusal.message}"
    changed = world.changing()
    await world.passes()
    if world.changing() != changed:
        yield "a second pass changes something"
    aside = {str(item.model) for item in plan.blocked} | {str(name) for _, name in plan.unverified}
    for fault in faults(world, aside):
        yield fault
    for touched in _touched(world, before):
        yield touched


def _touched(world: World, before: dict[str, str]) -> Iterator[str]:
    """Models that nobody declared and that are other than before a pass."""
    after = undeclared(world)
    for name, digest in before.items():
        if after.get(name) != digest:
            yield f"`{name}` was touched, and nobody spoke of it"
