"""What hosts do to models, and others to hosts, while fleet changes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.quantities import show_size
from fleet.reconcile.progress import Event, StepEnded
from fleet.simulate.modelname import Name
from fleet.simulate.scenario import OfferedModel
from fleet.state.leases import Leases
from tests.faults.played import Site, begins, codes, outcomes, played
from tests.weights import making

SCENARIO = """
hosts:
  alpha:
    version: 0.9.6
    models:
      "base:1b": {size: 4KB, seed: base}
      "old:1b": {size: 4KB, seed: old}
      "kept:1b": {size: 4KB, seed: kept}
registry:
  models: {"base:1b": {size: 4KB, seed: base}, "kept:1b": {size: 4KB, seed: kept}, "new:1b": {size: 4KB}}
"""
GONE = 'models: {"kept:1b": {}, "old:1b": {absent: true}}'


def once(wanted: Callable[[Event], bool], act: Callable[[], object]) -> Callable[[Event], object]:
    """Does something at the first event of a kind."""
    done: list[object] = []
    return lambda event: done.append(act()) if wanted(event) and not done else None


@pytest.mark.fault("H1")
@played
async def test_a_model_that_stays_in_memory_is_not_deleted(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO, unload_wait=0.05) as site:
        assert await site.ask("POST", "generate", {"model": "old:1b", "keep_alive": -1}) == 200
        site.faults("alpha", {"fault": "lie-success", "endpoint": "unload"})
        report = await site.applies(GONE)
        assert outcomes(report) == {"unload old:1b": "failed", "delete old:1b": "not-tried"}
        assert codes(report)["old:1b"] in {"STILL_IN_USE", "NOT_TRIED"}
        assert "old:1b" in site.listed()
        site.faults("alpha")
        assert set(outcomes(await site.applies(GONE)).values()) == {"done"}
        assert site.asked("unload", "delete")[-2:] == ["unload old:1b", "delete old:1b"]


@pytest.mark.fault("H1")
@played
async def test_what_somebody_loads_behind_the_plan_leaves_memory_before_it_goes(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        loads = lambda: site.ask("POST", "generate", {"model": "old:1b", "keep_alive": -1})  # noqa: E731  # when it is time
        assert outcomes(await site.applies(GONE, planned=loads)) == {"delete old:1b": "done"}
        assert site.asked("unload", "delete") == ["unload old:1b", "delete old:1b"]


@pytest.mark.fault("H1")
@played
async def test_what_was_loaded_under_former_weights_keeps_no_name_from_being_deleted(tmp_path: Path) -> None:
    """Such a runner stays until its time is over, which may be never: no name asks it out of memory any more."""
    async with Site(tmp_path, SCENARIO, unload_wait=0.05) as site:
        site.simulation.offer("old:1b", OfferedModel(size=4000, seed="newer"))
        assert await site.ask("POST", "generate", {"model": "old:1b", "keep_alive": -1}) == 200
        assert await site.ask("POST", "pull", {"model": "old:1b", "stream": False}) == 200
        report = await site.applies(GONE)
        assert outcomes(report) == {"unload old:1b": "done", "delete old:1b": "done"}
        assert "old:1b" not in site.listed()
        assert site.asked("unload") == ["unload old:1b"], "it was waited for once"


@pytest.mark.fault("H1")
@played
async def test_weights_that_stay_in_use_are_not_asked_out_of_memory_with_a_name_that_goes(tmp_path: Path) -> None:
    (tmp_path / "one.gguf").write_bytes(making.model())
    made = '"made": {{create: {{files: [one.gguf], system: {}}}, warm: true}}'
    async with Site(tmp_path, SCENARIO, unload_wait=5.0) as site:
        first = await site.applies(f'models: {{{made.format("One.")}, "chat": {{alias: made}}}}')
        assert set(outcomes(first).values()) == {"done"}
        begun = len(site.asked("unload", "delete"))
        report = await site.applies(f'models: {{{made.format("Two.")}, "chat": {{absent: true}}}}')
        assert set(outcomes(report).values()) == {"done"}
        assert "unload chat:latest" not in site.asked("unload", "delete")[begun:]
        runners = site.simulation.hosts["alpha"].engine.runners.listed()
        assert [runner.gone_at for runner in runners] == [None]


@pytest.mark.fault("H2", "H7")
@played
async def test_a_model_that_loses_its_layers_beside_a_delete_is_found_and_mended(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        breaks = lambda: site.simulation.hosts["alpha"].break_model("kept:1b")  # noqa: E731  # a name for what is done
        report = await site.applies(GONE, before=once(begins("delete", "old:1b"), breaks))
        assert outcomes(report) == {"delete old:1b": "done"}
        assert codes(report) == {"kept:1b": "LAYERS_LOST"}
        assert outcomes(await site.applies(GONE)) == {"pull kept:1b": "done"}
        assert "kept:1b" in site.whole()


@pytest.mark.fault("H5")
@played
async def test_a_damaged_image_manifest_is_a_model_that_is_brought_again(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        manifest = 'models: {"kept:1b": {}}'
        await site.applies(manifest)
        site.simulation.hosts["alpha"].engine.store.write(Name.parse("kept:1b"), b"")
        _, plan = await site.plan(manifest)
        assert "`kept:1b` was listed by `alpha` in the last pass and is gone" in plan.notes[0]
        assert outcomes(await site.applies(manifest)) == {"pull kept:1b": "done"}
        assert "kept:1b" in site.whole()


@pytest.mark.fault("H6")
@played
async def test_a_download_that_a_full_disk_damaged_is_tried_three_times_and_told_how_to_mend(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        site.faults("alpha", {"fault": "error-line", "endpoint": "pull", "message": "EOF", "lines": 1})
        report = await site.applies('models: {"new:1b": {}}')
        assert codes(report) == {"new:1b": "DOWNLOAD_DAMAGED"}
        assert site.asked("pull") == ["pull new:1b"] * 3
        site.faults("alpha", {"fault": "error-line", "endpoint": "pull", "message": "EOF", "lines": 1, "times": 2})
        assert codes(await site.applies('models: {"new:1b": {}}')) == {}, "by chance it goes away"


@pytest.mark.fault("H9")
@played
async def test_a_machine_without_the_marker_is_not_changed(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        url = site.simulation.hosts["alpha"].url
        marked = f'hosts: {{alpha: {{url: "{url}", marker: marker/alpha}}}}'
        report = await site.applies('models: {"new:1b": {}}', inventory=marked)
        assert report is not None
        assert [refusal.code.name for refusal in report.plan.refused] == ["MARKER_MISSING"]
        assert report.plan.refused[0].would == ("pull new:1b on alpha (missing)",)
        assert "new:1b" not in site.listed()
        assert await site.ask("POST", "copy", {"source": "base:1b", "destination": "marker/alpha"}) == 200
        assert outcomes(await site.applies('models: {"new:1b": {}}', inventory=marked)) == {"pull new:1b": "done"}


@pytest.mark.fault("N4", "H9")
@played
async def test_another_machine_at_the_address_is_held_back_by_what_it_lists(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        manifest = 'models: {"new:1b": {}}'
        await site.applies('models: {"kept:1b": {}}')
        for name in list(site.listed()):
            await site.ask("DELETE", "delete", {"model": name})
        for number in range(3):
            site.simulation.seed("alpha", f"strange:{number}b", None)
        report = await site.applies(manifest)
        assert report is not None
        assert [refusal.code.name for refusal in report.plan.refused] == ["HOST_EMPTIED"]
        assert report.results == ()


MUTATED = [
    ("delete", "old:1b", GONE),
    ("create", "old:1b", 'models: {"old:1b": {create: {from: "base:1b", system: New.}}, "kept:1b": {}}'),
    ("copy", "old:1b", 'models: {"base:1b": {}, "old:1b": {alias: "base:1b"}, "kept:1b": {}}'),
    ("pull", "old:1b", f'models: {{"old:1b": {{pull: {{pin: "sha256:{"0" * 64}"}}}}, "kept:1b": {{}}}}'),
]


@pytest.mark.fault("H13")
@pytest.mark.parametrize(("action", "model", "manifest"), MUTATED)
@played
async def test_what_somebody_else_put_there_since_the_plan_is_left_alone(
    tmp_path: Path, action: str, model: str, manifest: str
) -> None:
    strange = OfferedModel.model_validate({"size": "4KB", "seed": "strange"})
    async with Site(tmp_path, SCENARIO, ask_registries=False) as site:
        site.simulation.seed("alpha", "other:1b", strange)

        def change() -> None:
            site.simulation.seed("alpha", model, strange)

        wanted = f'{manifest[:-1]}, "new:1b": {{}}}}'
        report = await site.applies(wanted, before=once(begins(action, model), change))
        assert outcomes(report)[f"{action} {model}"] == "superseded"
        assert outcomes(report)["pull new:1b"] == "done", "other steps go on"
        assert site.listed()[model] == site.listed()["other:1b"]
        assert model not in {str(name) for name in site.known().begun}


@pytest.mark.fault("H14")
@played
async def test_what_is_gone_already_was_deleted_well(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        store = site.simulation.hosts["alpha"].engine.store
        removes = once(begins("delete", "old:1b"), lambda: store.unlink(Name.parse("old:1b")))
        report = await site.applies(GONE, before=removes)
        assert (outcomes(report), codes(report)) == ({"delete old:1b": "done"}, {})


@pytest.mark.fault("H14")
@played
async def test_a_source_that_is_gone_is_planned_for_anew(tmp_path: Path) -> None:
    manifest = 'models: {"base:1b": {}, chat: {alias: "base:1b"}}'
    async with Site(tmp_path, SCENARIO) as site:
        store = site.simulation.hosts["alpha"].engine.store
        removes = once(begins("copy", "chat:latest"), lambda: store.unlink(Name.parse("base:1b")))
        report = await site.applies(manifest, before=removes)
        assert codes(report)["chat:latest"] == "SOURCE_NOT_THERE"
        again = outcomes(await site.applies(manifest))
        assert again == {"pull base:1b": "done", "copy chat:latest": "done"}


@pytest.mark.fault("H17")
@played
async def test_a_listing_that_fails_for_a_moment_is_asked_for_again(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        site.faults("alpha", {"fault": "status", "status": 500, "endpoint": "tags", "after": 2, "times": 2})
        report = await site.applies(GONE)
        assert (outcomes(report), codes(report)) == ({"delete old:1b": "done"}, {})


@pytest.mark.fault("H18")
@played
async def test_a_model_folder_that_cannot_be_written_is_told_with_the_servers_words(tmp_path: Path) -> None:
    words = "open /models/manifests/registry.ollama.ai/library/new/1b: permission denied"
    async with Site(tmp_path, SCENARIO) as site:
        site.faults("alpha", {"fault": "error-line", "endpoint": "pull", "message": words, "lines": 1})
        report = await site.applies('models: {"new:1b": {}}')
        assert report is not None
        failure = report.failures[0]
        assert (failure.code.name, failure.code.retry, failure.told) == ("MODELS_NOT_WRITABLE", "never", words)
        assert site.asked("pull") == ["pull new:1b"]


@pytest.mark.fault("S17")
@played
async def test_a_model_that_came_between_two_replies_of_one_look_is_seen(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        assert await site.ask("POST", "generate", {"model": "old:1b", "keep_alive": -1}) == 200
        site.faults("alpha", {"fault": "forget", "endpoint": "tags", "model": "old:1b"})
        _, plan = await site.plan('models: {"kept:1b": {}}')
        models = plan.observations[plan.hosts[0].host].models  # type: ignore[union-attr]  # it answers
        assert "old:1b" in {str(name) for name in models}


@pytest.mark.fault("P8")
@played
async def test_an_alias_whose_copy_was_cut_is_mended_before_all_else(tmp_path: Path) -> None:
    manifest = 'models: {"base:1b": {}, "old:1b": {alias: "base:1b"}, "new:1b": {}}'
    async with Site(tmp_path, SCENARIO, retry_tries=1) as site:
        former = site.listed()["old:1b"]
        site.faults("alpha", {"fault": "unreachable", "endpoint": "copy", "model": "old:1b"})
        await site.applies(manifest)
        assert site.listed()["old:1b"] == former, "clients have it as it was"
        for name in ("old:1b", "new:1b"):
            site.simulation.hosts["alpha"].engine.store.unlink(Name.parse(name))
        site.faults("alpha")
        begun = len(site.asked("copy", "pull"))
        report = await site.applies(manifest)
        assert set(outcomes(report).values()) == {"done"}
        assert site.listed()["old:1b"] == site.listed()["base:1b"]
        assert site.asked("copy", "pull")[begun:][-1] == "pull new:1b"


@played
async def test_a_host_in_another_fleets_hands_is_left_alone_and_the_others_go_on(tmp_path: Path) -> None:
    scenario = SCENARIO.replace("registry:", "  beta: {version: 0.9.6}\nregistry:")
    async with Site(tmp_path, scenario) as site:
        now = datetime.now(UTC)
        url = site.simulation.hosts["alpha"].url
        with Leases(str(tmp_path / "state"), "west") as west:
            assert west.take(url, "process 1 on `there`", now, now + timedelta(minutes=1)) is None
            report = await site.applies('models: {"new:1b": {}}')
            assert report is not None
            assert {(each.step.host, str(each.outcome)) for each in report.results} == {
                ("alpha", "not-tried"),
                ("beta", "done"),
            }
            assert report.failures[0].code.name == "HOST_LEASED"
            assert "the fleet `west` has been changing this host since" in report.failures[0].message
            assert "process 1 on `there`" in report.failures[0].message
            west.give_back(url)
            held: list[object] = []
            taking = once(
                begins("pull", "new:1b"),
                lambda: held.append(west.take(url, "there", now, now + timedelta(minutes=1))),
            )
            assert codes(await site.applies('models: {"new:1b": {}}', before=taking)) == {}
            assert held != [None], "while steps are carried out the host is in this fleet's hands"
            assert west.take(url, "there", now, now + timedelta(minutes=1)) is None, "and given back at the end"


@pytest.mark.fault("H10")
@played
async def test_two_names_of_one_address_never_write_at_once(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        url = site.simulation.hosts["alpha"].url
        twice = f'hosts: {{one: "{url}", two: "{url}/"}}'
        report = await site.applies('models: {"new:1b": {}}', inventory=twice)
        assert report is not None
        assert sorted(str(each.outcome) for each in report.results) == ["done", "superseded"]
        assert site.asked("pull") == ["pull new:1b"]
        again = await site.applies('models: {"new:1b": {}}', inventory=twice)
        assert again is not None
        assert (again.results, again.failures) == ((), ())


@pytest.mark.fault("H10")
@played
async def test_one_server_behind_two_addresses_is_noticed(tmp_path: Path) -> None:
    async with Site(tmp_path, SCENARIO) as site:
        assert await site.ask("POST", "generate", {"model": "old:1b", "keep_alive": 600}) == 200
        url = site.simulation.hosts["alpha"].url
        site.moves["http://[::1]:9"] = url
        _, plan = await site.plan(
            'models: {"kept:1b": {}}', inventory=f'hosts: {{one: "{url}", two: "http://[::1]:9"}}'
        )
        assert [note for note in plan.notes if note.startswith("`one` and `two` list the same models")]
        for host in ("one", "two"):
            _, plan = await site.plan('models: {"kept:1b": {}}', inventory=f'hosts: {{{host}: "{url}"}}')
            assert plan.notes == ()


@pytest.mark.fault("H12")
@pytest.mark.parametrize(("was", "now"), [("0.5.4", "0.9.6"), ("0.9.6", "0.5.4")])
@played
async def test_a_host_that_was_upgraded_since_the_plan_is_spoken_to_as_what_it_is(
    tmp_path: Path, was: str, now: str
) -> None:
    scenario = f"""
hosts:
  alpha: {{version: {was}, models: {{"base:1b": {{size: 4KB, seed: base}}}}}}
  beta: {{version: {now}, models: {{"base:1b": {{size: 4KB, seed: base}}}}}}
"""
    async with Site(tmp_path, scenario) as site:
        urls = {name: host.url for name, host in site.simulation.hosts.items()}

        def upgraded() -> None:
            site.moves[urls["alpha"]] = urls["beta"]

        report = await site.applies(
            'models: {"acme/made": {create: {from: "base:1b", system: New.}}}',
            inventory=f'hosts: {{alpha: "{urls["alpha"]}"}}',
            planned=upgraded,
        )
        assert (outcomes(report), codes(report)) == ({"create acme/made:latest": "done"}, {})
        assert "acme/made:latest" in site.listed("beta")


@pytest.mark.fault("H15")
@played
async def test_what_a_failed_create_leaves_on_the_disk_is_told_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").write_bytes(making.model())
    async with Site(tmp_path, SCENARIO) as site:
        site.faults("alpha", {"fault": "status", "status": 400, "endpoint": "create", "body": '{"error": "no"}'})
        report = await site.applies("models: {acme/made: {create: {files: [w.gguf]}}}")
        assert report is not None
        size = (tmp_path / "w.gguf").stat().st_size
        assert f"the {show_size(size)} sent for it stay on the host, unused" in report.failures[-1].message
        assert sum(site.simulation.hosts["alpha"].engine.store.orphans().values()) == size


def is_number(moment: int, heard: list[Event]) -> Callable[[Event], bool]:
    """Whether the newest event is the one of that number, from 1."""
    return lambda _: len(heard) == moment


@pytest.mark.fault("P3")
@pytest.mark.long
@played
async def test_a_run_that_is_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path) -> None:
    manifest = (
        'models: {"new:1b": {}, "old:1b": {absent: true}, chat: {alias: "new:1b"},'
        ' "acme/made": {create: {from: "base:1b", system: New.}}, "base:1b": {}}'
    )
    ends: set[frozenset[tuple[str, str]]] = set()
    for moment in range(1, 100):
        folder = tmp_path / str(moment)
        folder.mkdir()
        async with Site(folder, SCENARIO) as site:
            heard: list[Event] = []
            killed = await site.applies(manifest, before=heard.append, killed_at=is_number(moment, heard))
            done = [event.result.step for event in heard if isinstance(event, StepEnded)]
            begun = len(site.asked("pull", "create", "delete"))
            report = await site.applies(manifest)
            assert report is not None
            assert report.failures == ()
            assert not report.after.steps
            repeated = site.asked("pull", "create", "delete")[begun:]
            assert not [step for step in done if f"{step.action} {step.model}" in repeated], "what was done stays done"
            ends.add(frozenset((name, digest) for name, digest in site.listed().items() if name != "acme/made:latest"))
            assert {str(name): made.owned for name, made in site.known().made.items()} == {
                "new:1b": True,
                "chat:latest": True,
                "acme/made:latest": True,
            }
            assert site.known().begun == {}
        if killed is not None:
            break
    assert moment > 10
    assert len(ends) == 1
