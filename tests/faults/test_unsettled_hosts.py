"""What a host may still be at when fleet left it, and what waits for that: one changing step on a host at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.progress import Event, StepMoved
from fleet.reconcile.unsettled import BROKEN
from fleet.simulate.faults import Fault
from fleet.simulate.scenario import OfferedModel
from fleet.state.evidence import Begun
from fleet.state.memory import Memory
from tests.faults.played import LONG, Site, begins, codes, outcomes, played

SCENARIO = """
hosts: {alpha: {version: 0.32.15, models: {"old:1b": {size: 8KB, seed: shared}}}}
registry: {models: {"new:1b": {size: 8KB, seed: shared, system: New.}, "third:1b": {size: 4KB}}}
"""
NEW = 'models: {"new:1b": {}}'
INSTEAD = 'models: {"new:1b": {}, "old:1b": {absent: true}}'
GONE = 'models: {"old:1b": {absent: true}}'


def moving(event: Event) -> bool:
    return isinstance(event, StepMoved)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def shown(site: Site) -> int:
    """How often hosts were asked to show a model, answered or not."""
    total: Any = site.simulation.journal.counters(list(site.simulation.hosts))["total"]
    return int(total.get("show", 0))


@asynccontextmanager
async def left_pull(site: Site, host: str = "alpha") -> AsyncIterator[asyncio.Task[int]]:
    """A run that was killed in its pull, which goes on: another client waits for it too. It ends once the block lets
    the registry answer.
    """
    held = Fault.model_validate({"fault": "slow", "endpoint": "blob", "delay": LONG})
    site.simulation.registry_faults.replace([held])
    other = asyncio.ensure_future(site.ask("POST", "pull", {"model": "new:1b"}, host))
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


@pytest.mark.fault("H2", "H3")
@played
async def test_an_error_that_never_came_to_the_pull_that_goes_on_does_not_end_it(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO, retry_tries=1, ask_registries=False) as site, left_pull(site):
        since = site.known().begun[ModelName.parse("new:1b")].since
        site.faults("alpha", {"fault": "error-line", "endpoint": "pull", "message": "pull model manifest: EOF"})
        for _ in range(2):
            assert outcomes(await site.applies(NEW)) == {"pull new:1b": "failed"}
            assert site.known().begun[ModelName.parse("new:1b")].since == since, "nobody waits the longer for it"
        assert codes(await site.applies(GONE)) == {"old:1b": "HOST_UNSETTLED"}
        site.hours = 11 / 60
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "done"}


@pytest.mark.fault("H3")
@pytest.mark.invariant("E7")
@played
async def test_what_was_left_and_comes_while_it_is_taken_up_is_fleets_own(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO, retry_tries=1) as site:
        async with left_pull(site):
            pass
        site.release()
        site.hours = 9 / 60
        site.faults("alpha", {"fault": "error-line", "endpoint": "pull", "message": "EOF", "lines": 1})

        def before(event: Event) -> None:
            if moving(event):
                site.simulation.seed("alpha", "new:1b", OfferedModel(size=8_000, seed="shared", system="New."))
                site.hours = 11 / 60

        assert codes(await site.applies(NEW, before=before)).keys() == {"new:1b"}
        await site.applies(NEW)
        assert [made.owned for made in site.known().made.values()] == [True]
        assert site.known().begun == {}


@pytest.mark.fault("H2")
@played
async def test_what_a_pull_brought_that_is_not_accepted_stays_beside_one_that_goes_on(tmp_path: Path) -> None:
    pinned = f'models: {{"third:1b": {{pull: {{pin: "sha256:{64 * "0"}"}}}}}}'
    async with Site(tmp_path, SCENARIO, ask_registries=False) as site, left_pull(site):
        site.simulation.registry_faults.replace([])
        report = await site.applies(pinned)
        assert codes(report) == {"third:1b": "PIN_NOT_BROUGHT"}
        assert "delete third:1b" not in site.asked("delete")
        site.hours = 11 / 60
        assert codes(await site.applies(pinned)) == {"third:1b": "PIN_NOT_BROUGHT"}
        assert "third:1b" not in site.listed(), "now it is taken away"


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


@pytest.mark.fault("H3", "K2")
@played
async def test_runs_that_are_killed_one_after_the_other_take_no_pull_its_turn(tmp_path: Path) -> None:
    both = 'models: {"new:1b": {}, "acme/first": {create: {from: "old:1b", system: First.}}}'
    async with Site(tmp_path, SCENARIO) as site, left_pull(site):
        assert await site.applies(both, killed_at=moving) is None
        report = await site.applies(both, before=lambda event: site.release() if moving(event) else None)
        assert outcomes(report) == {"pull new:1b": "done", "create acme/first:latest": "done"}


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


@pytest.mark.fault("H3")
@played
async def test_the_wait_begins_when_a_long_pull_is_left_and_not_when_it_began(tmp_path: Path) -> None:
    # Renewed each tenth of the wait, which is a minute of ten.
    async with Site(tmp_path, SCENARIO, unsettled_wait=2.0) as site:
        held = Fault.model_validate({"fault": "slow", "endpoint": "blob", "delay": LONG})
        site.simulation.registry_faults.replace([held])
        moved = asyncio.Event()
        killed = asyncio.ensure_future(site.applies(NEW, before=lambda event: moved.set() if moving(event) else None))
        await moved.wait()
        first = site.known().begun
        site.hours = 0.5
        await until(lambda: site.known().begun != first)
        killed.cancel()
        await killed
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "not-tried"}


@pytest.mark.fault("H3")
@played
async def test_a_long_pull_that_breaks_off_is_waited_for_from_then_on(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO, pull_tries=1) as site:

        def before(event: Event) -> None:
            site.hours = 0.5 if moving(event) else site.hours

        site.faults("alpha", {"fault": "cut", "endpoint": "pull", "lines": 1})
        made = '"zeta/made": {create: {from: "old:1b", system: One.}}'
        report = await site.applies(f'models: {{"new:1b": {{}}, {made}}}', before=before)
        assert outcomes(report) == {"pull new:1b": "unknown", "create zeta/made:latest": "not-tried"}
        assert outcomes(await site.applies(GONE)) == {"delete old:1b": "not-tried"}


@pytest.mark.parametrize("every", [4, 15])
@played
async def test_a_pull_that_always_hangs_keeps_no_other_step_away_for_ever(tmp_path: Path, every: int) -> None:
    async with Site(tmp_path, SCENARIO, silence=0.05, verify_silence=0.05, pull_tries=1, retry_tries=1) as site:
        site.faults("alpha", {"fault": "silence", "endpoint": "pull"})
        both = 'models: {"new:1b": {}, "third:1b": {}, "zeta/made": {create: {from: "old:1b", system: One.}}}'
        tries = []
        for minutes in range(0, 31, every):
            site.hours = minutes / 60
            tries.append(outcomes(await site.applies(both)))
        ends = [each.get("create zeta/made:latest") for each in tries]
        assert ends[0] == "not-tried", "what hangs was only just left"
        assert "done" in ends
        assert tries[-1].keys() == {"pull new:1b", "pull third:1b"}, "and both are still wanted"


@pytest.mark.fault("H2")
@played
async def test_two_models_that_lost_layers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        await site.applies('models: {"new:1b": {}, "third:1b": {}}')

        def before(event: Event) -> None:
            if begins("delete", "old:1b")(event):
                site.simulation.hosts["alpha"].break_model("new:1b")
                site.simulation.hosts["alpha"].break_model("third:1b")

        wanted = 'models: {"new:1b": {}, "third:1b": {}, "old:1b": {absent: true}}'
        await site.applies(wanted, before=before)
        assert set(outcomes(await site.applies(wanted)).values()) == {"done"}
        assert site.whole() == {"new:1b", "third:1b"}


@pytest.mark.fault("H7")
@pytest.mark.parametrize("lines", [0, 1])
@played
async def test_a_broken_model_stays_one_until_a_look_shows_it_whole(tmp_path: Path, lines: int) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        await site.applies(NEW)

        def before(event: Event) -> None:
            if begins("delete", "old:1b")(event):
                site.simulation.hosts["alpha"].break_model("new:1b")

        await site.applies(INSTEAD, before=before)
        missing = "pull model manifest: file does not exist"
        site.faults("alpha", {"fault": "error-line", "endpoint": "pull", "message": missing, "lines": lines})
        for _ in range(2):
            assert outcomes(await site.applies(NEW)) == {"pull new:1b": "failed"}
        site.faults("alpha")
        assert outcomes(await site.applies(NEW)) == {"pull new:1b": "done"}
        assert site.whole() == {"new:1b"}
        assert site.known().begun == {}


@played
async def test_a_broken_model_keeps_nothing_else_waiting(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        await site.applies('models: {"new:1b": {}, "third:1b": {}}')

        def before(event: Event) -> None:
            if begins("delete", "old:1b")(event):
                site.simulation.hosts["alpha"].break_model("new:1b")

        await site.applies(INSTEAD, before=before)
        assert outcomes(await site.applies('models: {"third:1b": {absent: true}}')) == {"delete third:1b": "done"}


@played
async def test_a_broken_model_stays_one_where_nothing_could_be_sent(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        made = 'models: {"acme/made": {create: {from: "old:1b", system: One.}}}'
        await site.applies(made)
        alpha = site.simulation.hosts["alpha"]
        alpha.break_model("acme/made")
        with Memory(str(tmp_path / "state"), "default") as memory:
            digest = Digest.parse(site.listed()["acme/made:latest"])
            name = ModelName.parse("acme/made")
            memory.begin(HostName("alpha"), alpha.url, name, Begun(BROKEN, digest, datetime.now(UTC)))

        def before(event: Event) -> None:
            if begins("create", "acme/made:latest")(event):
                alpha.break_model("old:1b")

        assert codes(await site.applies(made, before=before)) == {"acme/made:latest": "SOURCE_NOT_THERE"}
        assert [each.action for each in site.known().begun.values()] == [BROKEN]


@pytest.mark.fault("P9")
@played
async def test_a_model_that_a_stranger_made_days_after_a_killed_pull_is_theirs(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        url = site.simulation.hosts["alpha"].url
        inventory = f'hosts: {{alpha: {{url: "{url}"}}}}\npolicy: {{prune: owned}}'
        kept = 'models: {"old:1b": {}}'
        await site.applies(kept, inventory=inventory)
        async with left_pull(site):
            pass
        site.hours = 72
        assert await site.ask("POST", "create", {"model": "new:1b", "from": "old:1b", "system": "Theirs."}) == 200
        for _ in range(2):
            assert outcomes(await site.applies(kept, inventory=inventory)) == {}
        assert "new:1b" in site.listed()


@played
async def test_doubted_models_of_many_hosts_are_shown_beside_each_other(tmp_path: Path) -> None:
    hosts = ", ".join(f'h{number}: {{models: {{"old:1b": {{size: 1KB}}}}}}' for number in range(3))
    async with Site(tmp_path, f"hosts: {{{hosts}}}") as site:
        with Memory(str(tmp_path / "state"), "default") as memory:
            for name, host in site.simulation.hosts.items():
                mark = Begun("pull", None, datetime.now(UTC))
                memory.begin(HostName(name), host.url, ModelName.parse("old:1b"), mark)
        for name in site.simulation.hosts:
            site.faults(name, {"fault": "slow", "endpoint": "show", "delay": LONG})
        planning = asyncio.ensure_future(site.plan('models: {"old:1b": {}}'))
        await until(lambda: shown(site) == 3)
        site.release()
        await planning


@pytest.mark.fault("H2")
@played
async def test_a_host_that_went_on_by_itself_while_others_were_changed_is_looked_at_again(tmp_path: Path) -> None:
    there = SCENARIO.replace('"old:1b": {size: 8KB, seed: shared}', '"new:1b": {size: 8KB, seed: shared, system: New.}')
    two = there.replace("hosts: {", "hosts: {beta: {version: 0.32.15}, ")
    async with Site(tmp_path, two) as site, left_pull(site, "beta") as other:

        async def ends() -> None:
            site.release()
            assert await other == 200

        report = await site.applies('models: {"new:1b": {absent: true}}', planned=ends)
        assert report is not None
        assert [(each.step.host, each.step.action, each.outcome) for each in report.results] == [
            ("alpha", "delete", "done")
        ]
        assert [(step.host, step.action) for step in report.after.steps] == [("beta", "delete")], "it is not as desired"


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


@pytest.mark.invariant("E7")
@played
async def test_what_could_not_be_proven_for_an_unreadable_answer_is_not_forgotten(tmp_path: Path) -> None:
    made = 'models: {"acme/first": {create: {from: "old:1b", system: First.}}}'
    garbled = {"fault": "wrong-json", "endpoint": "tags", "times": 1}
    async with Site(tmp_path, SCENARIO) as site:
        report = await site.applies(made, before=lambda event: site.faults("alpha", garbled) if moving(event) else None)
        assert codes(report) == {"acme/first:latest": "NOT_OLLAMA"}
        site.faults("alpha")
        await site.applies(made)
        assert [each.owned for each in site.known().made.values()] == [True]
