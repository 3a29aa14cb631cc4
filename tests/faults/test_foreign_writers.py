"""Two fleets on one host, and people who change what fleet made: noticed by the effects, and not fought."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.plan import Allowance
from fleet.reconcile.progress import Event, StepRetried
from fleet.state.evidence import Made
from fleet.state.memory import Memory
from tests.faults.played import Site, codes, outcomes, played

SCENARIO = """
hosts: {alpha: {version: 0.32.15}}
registry: {models: {"base:1b": {size: 4KB}, "other:1b": {size: 4KB}}}
"""
OURS = 'models: {"base:1b": {}, "acme/chat": {create: {from: "base:1b", system: Ours.}}}'
THEIRS = OURS.replace("Ours", "Theirs")
CHAT = "acme/chat:latest"
CREATE = f"create {CHAT}"


@pytest.mark.invariant("E12")
@pytest.mark.fault("K4")
@played
async def test_two_fleets_that_disagree_stop_after_three_rounds_and_both_say_so(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        told: dict[str, list[str | None]] = {"east": [], "west": []}
        for _ in range(8):
            for state, manifest in (("east", OURS), ("west", THEIRS)):
                told[state].append(codes(await site.applies(manifest, state=state)).get(CHAT))
        assert told["east"][:3] == [None, None, "FOREIGN_WRITER"]
        assert told["west"][:3] == [None, None, "FOREIGN_WRITER"]
        assert set(told["east"][3:]) == {"FOREIGN_WRITER"}, "it is not as this one wants it, and is left alone"
        assert site.asked("create").count(CREATE) == 6, "no fourth time for either"
        assert site.whole() == {"base:1b", CHAT}


@pytest.mark.invariant("E12")
@pytest.mark.fault("K4")
@played
async def test_two_fleets_that_want_the_same_never_undo_each_other(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        await site.applies(OURS, state="east")
        before = site.asked("create", "copy", "pull", "delete")
        for _ in range(3):
            for state in ("west", "east"):
                report = await site.applies(OURS, state=state)
                assert report is not None
                assert report.failures == ()
        assert site.asked("create", "copy", "pull", "delete") == before


@played
async def test_who_deletes_a_model_by_hand_now_and_then_is_no_second_fleet(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        manifest = 'models: {"base:1b": {}, "other:1b": {}}'
        for day in range(4):
            site.hours = 30 * day
            assert codes(await site.applies(manifest)) == {}
            assert await site.ask("DELETE", "delete", {"model": "base:1b"}) == 200
        assert max(made.undone for made in site.known().made.values()) <= 1


@played
async def test_a_change_of_our_own_manifests_is_no_strangers(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        for words in ("One.", "Two.", "Three.", "Four.", "Five."):
            assert codes(await site.applies(OURS.replace("Ours.", words))) == {}
        assert {made.undone for made in site.known().made.values()} == {0}


async def undone_three_times(site: Site) -> None:
    for _ in range(3):
        await site.applies(OURS)
        assert await site.ask("POST", "create", {"model": CHAT, "from": "base:1b", "system": "Theirs."}) == 200


@played
async def test_a_person_lets_fleet_have_it_back(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        await undone_three_times(site)
        report = await site.applies(OURS)
        assert outcomes(report) == {CREATE: "not-tried"}
        assert report is not None
        assert "--accept-foreign alpha" in (report.failures[0].hint or "")
        accepted = await site.applies(OURS, allowance=Allowance(foreign=frozenset({HostName("alpha")})))
        assert (outcomes(accepted), codes(accepted)) == ({CREATE: "done"}, {})
        assert await site.ask("DELETE", "delete", {"model": CHAT}) == 200
        assert codes(await site.applies(OURS)) == {}, "what was accepted is counted anew"


@played
async def test_after_a_day_fleet_tries_once_more(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        await undone_three_times(site)
        site.hours = 23
        assert outcomes(await site.applies(OURS)) == {CREATE: "not-tried"}
        site.hours = 25
        assert outcomes(await site.applies(OURS)) == {CREATE: "done"}


@played
async def test_a_host_that_may_lose_its_models_is_no_stranger(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        url = site.simulation.hosts["alpha"].url
        inventory = f'hosts: {{alpha: {{url: "{url}", ephemeral: true}}}}'
        for _ in range(5):
            assert codes(await site.applies('models: {"base:1b": {}}', inventory=inventory)) == {}
            assert await site.ask("DELETE", "delete", {"model": "base:1b"}) == 200


@played
async def test_what_another_fleet_of_the_database_made_is_not_pruned_and_that_is_told(tmp_path: Path) -> None:
    async with Site(
        tmp_path, SCENARIO.replace("0.32.15}", "0.32.15, models: {theirs:1b: {}, nobodys:1b: {}}}")
    ) as site:
        url = site.simulation.hosts["alpha"].url
        inventory = f"hosts: {{alpha: {{url: '{url}'}}}}\npolicy: {{prune: undeclared}}"
        made = Made(Digest("0" * 64), True, datetime(2026, 8, 1, tzinfo=UTC))
        await site.applies("models: {base:1b: {}}", inventory=inventory)
        with Memory(str(tmp_path / "state"), "east") as east:
            east.keep_made(HostName("one"), url, ModelName.parse("theirs:1b"), made)
        report = await site.applies("models: {base:1b: {}}", inventory=inventory)
        assert report is not None
        assert {name: str(outcome) for name, outcome in outcomes(report).items()} == {"delete nobodys:1b": "done"}
        assert set(site.listed()) == {"base:1b", "theirs:1b"}
        told = "`alpha` keeps `theirs:1b`, which nobody declares here: the fleet `east` put them there"
        assert told in report.plan.notes


@played
async def test_a_host_that_a_person_said_was_emptied_is_no_stranger(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        both = 'models: {"base:1b": {}, "other:1b": {}}'
        for _ in range(5):
            report = await site.applies(both, allowance=Allowance(emptied=frozenset({HostName("alpha")})))
            assert (set(outcomes(report).values()), codes(report)) == ({"done"}, {})
            for name in list(site.listed()):
                assert await site.ask("DELETE", "delete", {"model": name}) == 200


@played
async def test_a_clock_that_ran_ahead_leaves_nothing_alone_for_years(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        site.hours = 24 * 2000
        await undone_three_times(site)
        site.hours = 0
        assert outcomes(await site.applies(OURS)) == {CREATE: "done"}


OWNED = 'hosts: {{alpha: {{url: "{url}"}}}}\npolicy: {{prune: owned}}'


@pytest.mark.fault("P9")
@played
async def test_what_a_stranger_put_there_in_the_middle_of_a_copy_is_not_fleets_own(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        inventory = OWNED.format(url=site.simulation.hosts["alpha"].url)
        await site.applies('models: {"base:1b": {}}', inventory=inventory)
        site.faults("alpha", {"fault": "reset", "endpoint": "copy"})

        def before(event: Event) -> None:
            if isinstance(event, StepRetried):
                site.faults("alpha")
                site.simulation.seed("alpha", "chat:latest", None)

        alias = 'models: {"base:1b": {}, "chat": {alias: "base:1b"}}'
        report = await site.applies(alias, inventory=inventory, before=before)
        assert outcomes(report) == {"copy chat:latest": "superseded"}
        for _ in range(2):
            assert outcomes(await site.applies('models: {"base:1b": {}}', inventory=inventory)) == {}
        assert "chat:latest" in site.listed()


@pytest.mark.fault("P9")
@played
async def test_what_is_there_after_a_pull_that_failed_is_not_fleets_own(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        inventory = OWNED.format(url=site.simulation.hosts["alpha"].url)
        await site.applies('models: {"base:1b": {}}', inventory=inventory)
        fault = {"fault": "error-line", "endpoint": "pull", "lines": 1}
        site.faults("alpha", {**fault, "message": 'pull model manifest: Get "https://r/": EOF'})

        def before(event: Event) -> None:
            if isinstance(event, StepRetried):
                site.faults("alpha", {**fault, "message": "pull model manifest: file does not exist"})
                site.simulation.seed("alpha", "other:1b", None)

        both = 'models: {"base:1b": {}, "other:1b": {}}'
        assert outcomes(await site.applies(both, inventory=inventory, before=before)) == {"pull other:1b": "failed"}
        for _ in range(2):
            assert outcomes(await site.applies('models: {"base:1b": {}}', inventory=inventory)) == {}
        assert "other:1b" in site.listed()
