"""What a host may still be at when fleet left it, and what waits for that: one changing step on a host at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fleet.reconcile.progress import Event, StepMoved
from fleet.simulate.faults import Fault
from tests.faults.played import LONG, Site, codes, outcomes, played

SCENARIO = """
hosts: {alpha: {version: 0.32.15, models: {"old:1b": {size: 8KB, seed: shared}}}}
registry: {models: {"new:1b": {size: 8KB, seed: shared, system: New.}, "third:1b": {size: 4KB}}}
"""
NEW = 'models: {"new:1b": {}}'
INSTEAD = 'models: {"new:1b": {}, "old:1b": {absent: true}}'
GONE = 'models: {"old:1b": {absent: true}}'


def moving(event: Event) -> bool:
    return isinstance(event, StepMoved)


@asynccontextmanager
async def left_pull(site: Site) -> AsyncIterator[asyncio.Task[int]]:
    """A run that was killed in its pull, which goes on: another client waits for it too. It ends once the block lets
    the registry answer.
    """
    held = Fault.model_validate({"fault": "slow", "endpoint": "blob", "delay": LONG})
    site.simulation.registry_faults.replace([held])
    other = asyncio.ensure_future(site.ask("POST", "pull", {"model": "new:1b"}))
    assert await site.applies(NEW, killed_at=moving) is None
    try:
        yield other
    finally:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)


@pytest.mark.fault("H2", "H3")
@played
async def test_nothing_is_deleted_beside_a_pull_that_goes_on(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site, left_pull(site) as other:
        report = await site.applies(GONE)
        assert (outcomes(report), codes(report)) == ({"delete old:1b": "not-tried"}, {"old:1b": "HOST_UNSETTLED"})
        site.release()
        assert await other == 200
        assert site.whole() == {"old:1b", "new:1b"}
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "done"}, "a look shows that it is over"
        assert site.whole() == {"new:1b"}


@pytest.mark.fault("H2")
@played
async def test_who_deletes_all_the_same_takes_layers_away(tmp_path: Path) -> None:
    """The server's own rule, without which the tests beside this one would prove nothing."""
    async with Site(tmp_path, SCENARIO) as site, left_pull(site) as other:
        assert await site.ask("DELETE", "delete", {"model": "old:1b"}) == 200
        site.release()
        assert await other == 200
        assert (set(site.listed()), site.whole()) == ({"new:1b"}, set())


@pytest.mark.fault("H3")
@played
async def test_the_same_pull_is_followed_to_its_end_before_anything_else(tmp_path: Path) -> None:
    both = 'models: {"new:1b": {}, "acme/first": {create: {from: "old:1b", system: First.}}}'
    async with Site(tmp_path, SCENARIO) as site, left_pull(site):
        begun = len(site.asked("pull", "create"))
        report = await site.applies(both, before=lambda event: site.release() if moving(event) else None)
        assert set(outcomes(report).values()) == {"done"}
        assert site.asked("pull", "create")[begun:][-1] == "create acme/first:latest"
        assert site.known().begun == {}
        assert site.whole() == {"old:1b", "new:1b", "acme/first:latest"}


@pytest.mark.fault("H3")
@played
async def test_what_nobody_follows_is_waited_for_as_long_as_it_may_take(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        async with left_pull(site):
            pass
        site.hours = 9 / 60
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "not-tried"}
        site.hours = 11 / 60
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "done"}
        assert site.known().begun == {}


@played
async def test_what_removes_nothing_goes_on_meanwhile(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        async with left_pull(site):
            pass
        site.release()
        assert outcomes(await site.applies('models: {"third:1b": {}}')) == {"pull third:1b": "done"}


@pytest.mark.fault("U11")
@played
async def test_a_create_that_is_cut_is_made_once_more_and_nothing_is_replaced_before(tmp_path: Path) -> None:
    made = 'models: {"acme/made": {create: {from: "old:1b", system: One.}}}'
    async with Site(tmp_path, SCENARIO) as site:
        site.faults("alpha", {"fault": "cut", "endpoint": "create", "lines": 0})
        report = await site.applies(made)
        assert (outcomes(report), codes(report)) == (
            {"create acme/made:latest": "unknown"},
            {"acme/made:latest": "STREAM_CUT"},
        )
        assert [(begun.action, begun.former) for begun in site.known().begun.values()] == [("create", None)]
        site.faults("alpha")
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "not-tried"}
        assert outcomes(await site.applies(made)) == {"create acme/made:latest": "done"}
        assert [made.owned for made in site.known().made.values()] == [True]
        assert site.known().begun == {}


@pytest.mark.fault("U11")
@played
async def test_after_a_create_that_hangs_nothing_is_replaced_in_the_same_run(tmp_path: Path) -> None:
    hanging = (
        'models: {"acme/a": {create: {from: "old:1b", system: A.}}, "acme/b": {create: {from: "old:1b", system: B.}}}'
    )
    async with Site(tmp_path, SCENARIO, create_silence=0.05, retry_tries=1) as site:
        site.faults("alpha", {"fault": "silence", "endpoint": "create", "model": "acme/a"})
        report = await site.applies(hanging)
        assert outcomes(report) == {"create acme/a:latest": "unknown", "create acme/b:latest": "not-tried"}
        assert codes(report) == {"acme/a:latest": "SILENT", "acme/b:latest": "HOST_UNSETTLED"}


@pytest.mark.fault("H4", "H7")
@played
async def test_a_model_that_fleet_never_saw_come_is_not_taken_for_whole(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        async with left_pull(site) as other:
            site.release()
            assert await other == 200
        site.simulation.hosts["alpha"].break_model("new:1b")
        assert "new:1b" not in site.whole()
        assert outcomes(await site.applies(NEW)) == {"pull new:1b": "done"}
        assert "new:1b" in site.whole()


@pytest.mark.fault("H4")
@pytest.mark.parametrize("version", ["0.9.6", "0.32.15"])
@played
async def test_a_restart_during_a_pull_costs_another_try(tmp_path: Path, version: str) -> None:
    async with Site(tmp_path, SCENARIO.replace("0.32.15", version)) as site:
        site.faults("alpha", {"fault": "restart-during", "endpoint": "pull", "lines": 2})
        report = await site.applies(NEW)
        assert (outcomes(report), codes(report)) == ({"pull new:1b": "done"}, {})
        assert "new:1b" in site.whole()
