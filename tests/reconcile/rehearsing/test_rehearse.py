"""Rehearsals from snapshots that were written by hand: what is told of memory, disk, guards, and of what is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import ExitCode, InputError
from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.load import load
from fleet.reconcile.rehearsing.rehearsal import Rehearsal, exit_code_of
from fleet.reconcile.rehearsing.rehearse import rehearse
from fleet.reconcile.rehearsing.snapshot import (
    KeptContent,
    KeptHost,
    KeptMemory,
    KeptModel,
    KeptRunner,
    KeptServed,
    Snapshot,
)
from fleet.reconcile.run import Pass
from fleet.render.rehearsal import rehearsal_markdown, rehearsal_text
from fleet.settings import Settings
from tests.reconcile.rehearsing.snapshots import EMPTY, holding

GB = 10**9
SHOWN = KeptContent("0" * 64, weights=("1" * 64,), architecture="llama", context_length=8192)
BIG = KeptModel("big", "a" * 64, 40 * GB, shown="big")
OTHER = KeptModel("other", "b" * 64, 50 * GB, shown="other")
CONTENTS = {"big": SHOWN, "other": replace(SHOWN, weights=("2" * 64,))}

Rehearse = Callable[..., Rehearsal]


@pytest.fixture
def rehearsed(tmp_path: Path) -> Rehearse:
    """Rehearses `models`, as a manifest has them, on one host `alpha` with `capacity`."""

    def run(snapshot: Snapshot, models: str, *, capacity: str = "{}", hosts: str = "") -> Rehearsal:
        inventory, manifest = tmp_path / "hosts.yaml", tmp_path / "models.yaml"
        inventory.write_text(
            f"version: 1\nhosts:\n  alpha: {{url: 'http://192.0.2.1:11434', capacity: {capacity}}}\n{hosts}"
        )
        manifest.write_text(f"version: 1\nmodels:\n{models}")
        desired = resolve(load([str(manifest)], inventory=[str(inventory)]))
        work = Pass(desired, fingerprint(desired), Settings(state_dir=str(tmp_path / "state")))
        return asyncio.run(rehearse(work, snapshot, bandwidth=1e9, offline=True))

    return run


def code(rehearsal: Rehearsal, *, detailed: bool = False) -> ExitCode:
    return exit_code_of(rehearsal, allowed_unobserved=0, detailed=detailed)


def running(*runners: KeptRunner, models: tuple[KeptModel, ...] = (BIG, OTHER)) -> Snapshot:
    return replace(EMPTY, hosts={"alpha": KeptHost("0.24.0", models=models, running=runners)}, contents=CONTENTS)


def test_what_a_load_pushes_out_of_memory_is_told(rehearsed: Rehearse) -> None:
    there = running(KeptRunner("other", "b" * 64, 51 * GB, 51 * GB, 200.0, 4096))
    rehearsal = rehearsed(there, "  big: {warm: true}\n", capacity="{vram: 80GB}")
    (memory,) = rehearsal.memory
    assert [(each.name, each.size) for each in memory.evicted] == [("other:latest", 51 * GB)]
    assert [each.name for each in memory.after] == ["big:latest"]
    assert rehearsal.converges
    assert (code(rehearsal), code(rehearsal, detailed=True)) == (ExitCode.AS_DESIRED, ExitCode.CHANGES_PENDING)


def test_where_both_fit_nothing_is_pushed_out(rehearsed: Rehearse) -> None:
    there = running(KeptRunner("other", "b" * 64, 51 * GB, 51 * GB, 200.0, 4096))
    (memory,) = rehearsed(there, "  big: {warm: true}\n", capacity="{vram: 100GB}").memory
    assert memory.evicted == ()
    assert {each.name for each in memory.after} == {"big:latest", "other:latest"}


def test_what_is_in_memory_long_enough_is_not_loaded_again(rehearsed: Rehearse) -> None:
    there = running(KeptRunner("big", "a" * 64, 41 * GB, 41 * GB, "for ever", 4096))
    rehearsal = rehearsed(there, "  big: {warm: true}\n")
    assert rehearsal.report.plan.steps == ()
    soon = running(KeptRunner("big", "a" * 64, 41 * GB, 41 * GB, 100.0, 4096))
    assert [str(step.reason) for step in rehearsed(soon, "  big: {warm: true}\n").report.plan.steps] == ["expires-soon"]


def test_the_disk_is_counted_in_contents(rehearsed: Rehearse) -> None:
    rehearsal = rehearsed(
        running(), "  big:\n  other: {absent: true}\n  same: {alias: big}\n", capacity="{disk: 200GB}"
    )
    (disk,) = rehearsal.disks
    assert (disk.capacity, disk.before, disk.after, disk.peak) == (200 * GB, 90 * GB, 40 * GB, 90 * GB)
    assert rehearsal.transfers == ()


def test_what_no_registry_has_would_fail_and_is_left_to_do(rehearsed: Rehearse) -> None:
    missing = replace(holding(), served={"nowhere:latest": KeptServed(code="FLT-207", message="no such model")})
    rehearsal = rehearsed(missing, "  nowhere:\n")
    assert [str(failure.model) for failure in rehearsal.report.failures] == ["nowhere:latest"]
    assert not rehearsal.converges
    assert code(rehearsal) is ExitCode.PARTIAL
    assert "127.0.0.1" not in rehearsal.report.failures[0].message


def test_a_guard_refuses_as_on_the_machine_where_the_snapshot_was_taken(rehearsed: Rehearse) -> None:
    lost = KeptMemory(models=tuple(f"registry.ollama.ai/library/m{number}:latest" for number in range(9)))
    there = replace(EMPTY, hosts={"alpha": KeptHost("0.24.0", models=(BIG,), remembered=lost)}, contents=CONTENTS)
    rehearsal = rehearsed(there, "  big:\n  other: {pull: {}}\n")
    assert [refusal.code.id for refusal in rehearsal.report.plan.refused] == ["FLT-505"]
    assert code(rehearsal) is ExitCode.REFUSED


def test_a_host_that_the_snapshot_does_not_have_is_not_observed(rehearsed: Rehearse) -> None:
    rehearsal = rehearsed(running(), "  big:\n", hosts="  beta: http://192.0.2.2:11434\n")
    (unobserved,) = rehearsal.report.unobserved
    assert (unobserved.host, unobserved.message) == ("beta", "the snapshot does not have this host")
    assert code(rehearsal) is ExitCode.UNOBSERVED


def test_a_host_that_was_suspended_is_only_looked_at(rehearsed: Rehearse) -> None:
    rehearsal = rehearsed(replace(running(), suspended={"alpha": "new fans"}), "  more:\n")
    assert rehearsal.report.plan.steps == ()
    assert rehearsal.report.plan.suspended == {"alpha": "new fans"}


@pytest.mark.parametrize(
    ("models", "declared", "note"),
    [
        pytest.param(
            (KeptModel("big", "a" * 64, 5),),
            "  big: {warm: true}\n",
            "what `alpha` shows of `big` is not in the snapshot",
            id="not shown",
        ),
        pytest.param(
            (BIG, KeptModel("no/name/that/is/one", "c" * 64)),
            "  big:\n",
            "on `alpha`, `no/name/that/is/one` is listed, which is no name",
            id="no name",
        ),
        pytest.param(
            (KeptModel("big", "a" * 64, 5, shown="tensors"),),
            "  big:\n",
            "the copy of `alpha` does not show `big` as the host did",
            id="a copy that cannot be like it",
        ),
    ],
)
def test_in_what_a_copy_is_not_the_host_is_told(
    models: tuple[KeptModel, ...], declared: str, note: str, rehearsed: Rehearse
) -> None:
    contents = {**CONTENTS, "tensors": replace(SHOWN, weights=())}
    rehearsal = rehearsed(replace(running(models=models), contents=contents), declared)
    assert [each for each in rehearsal.notes if each.startswith(note)], rehearsal.notes


def test_a_record_that_no_fleet_wrote_is_damage(rehearsed: Rehearse) -> None:
    wrong = KeptMemory(borrowed=("a name that is none",))
    with pytest.raises(InputError, match="a record in it is none"):
        rehearsed(replace(EMPTY, hosts={"alpha": KeptHost("0.24.0", remembered=wrong)}), "  big:\n")


def test_a_snapshot_of_another_fleet_is_refused(rehearsed: Rehearse) -> None:
    with pytest.raises(InputError, match="is of the fleet `other`, and the inventory is of `default`"):
        rehearsed(replace(EMPTY, fleet="other"), "  big:\n")


def test_what_people_read_ends_with_the_verdict(rehearsed: Rehearse) -> None:
    there = running(KeptRunner("other", "b" * 64, 51 * GB, 51 * GB, 200.0, 4096))
    rehearsal = rehearsed(there, "  big: {warm: true}\n  new:\n", capacity="{vram: 80GB}")
    verdict = (
        "Rehearsed: 2 steps; 5.0 GB to move, 5s if each host has a line of its own and 5s if all share one;"
        " 1 model would be evicted from memory; converges: nothing is left to do"
    )
    text = rehearsal_text(rehearsal)
    assert text.splitlines()[-1] == verdict
    assert "  alpha  5.0 GB     0 B      5s\n" in text
    assert "80.0 GB  other:latest (51.0 GB)\n" in text
    told = rehearsal_markdown(rehearsal)
    assert told.splitlines()[:2] == ["<!-- ollama-fleet: rehearsal of default -->", f"### fleet: {verdict}"]
    assert "| `alpha` | `5.0 GB` | `0 B` | `5s` |" in told
