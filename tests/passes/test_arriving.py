"""What a killed run had begun ends while the next one is between its plan and its step."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.names import ModelName
from fleet.reconcile.report import Outcome, Report
from fleet.reconcile.run import carry_out, make_plan
from fleet.reconcile.stop import Stop
from fleet.state.evidence import Begun
from fleet.state.memory import Memory
from tests.passes.happenings import Declare, Entry, Foreign
from tests.passes.world import HOST, World

CREATED: Entry = {"create": {"from": "p:1", "system": "Foreign."}}
"""What `World` has somebody create, and what an abandoned create of this entry would have made."""
OTHER: Entry = {"create": {"from": "p:1", "system": "Other."}}
ALIAS: Entry = {"alias": "p:1"}


async def _carried_out(folder: Path, entry: Entry, left: str | None, arrives: Foreign) -> Report:
    async with World(folder, "0.9.6") as world:
        await world.happens(Declare("p:1", {}))
        await world.passes()
        await world.happens(Declare("acme/c", entry))
        work = await world._work()
        plan = await make_plan(work)
        if left is not None:
            with Memory(work.settings.state_dir, "default") as memory:
                url = work.desired.hosts[HOST].host.url
                memory.begin(HOST, url, ModelName.parse("acme/c"), Begun(left, None, datetime.now(UTC)))
        await world.happens(arrives)
        return await carry_out(work, plan, Stop())


CREATE = Foreign("create", "acme/c", "p:1")


@pytest.mark.parametrize(
    ("entry", "left", "arrives"),
    [(CREATED, "create", CREATE), (ALIAS, "copy", Foreign("copy", "acme/c", "p:1"))],
)
def test_what_was_begun_and_is_wanted_is_taken_as_it_comes(
    tmp_path: Path, entry: Entry, left: str, arrives: Foreign
) -> None:
    report = asyncio.run(_carried_out(tmp_path, entry, left, arrives))
    assert [result.outcome for result in report.results] == [Outcome.DONE]
    assert not report.failures


@pytest.mark.parametrize(
    ("entry", "left", "arrives"),
    [
        (CREATED, None, CREATE),
        (CREATED, "copy", CREATE),
        (OTHER, "create", CREATE),
        (ALIAS, "copy", CREATE),
    ],
    ids=["nobody began it", "something else was begun", "another content came", "another content than its source's"],
)
def test_everything_else_that_comes_meanwhile_is_somebodys(
    tmp_path: Path, entry: Entry, left: str | None, arrives: Foreign
) -> None:
    report = asyncio.run(_carried_out(tmp_path, entry, left, arrives))
    assert [result.outcome for result in report.results] == [Outcome.SUPERSEDED]
    assert [failure.code for failure in report.failures] == [Code.SUPERSEDED]
