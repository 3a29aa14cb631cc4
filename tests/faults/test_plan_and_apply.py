"""Rows of the fault matrix on plans and on what carries them out: deletes above all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.cli.work import work_of
from fleet.codes import Code
from fleet.manifest.item import Item, Pull
from fleet.names import HostName, ModelName
from fleet.reconcile.difference import Change, Difference, HostDifference, Reason, State
from fleet.reconcile.report import Outcome, Report, StepResult
from fleet.reconcile.run import carry_out, make_plan
from fleet.reconcile.saved import SavedArguments, SavedPlan, aged
from fleet.reconcile.step import Action, Plan, Step
from fleet.reconcile.stop import Stop
from fleet.reconcile.verify import unproven
from fleet.render.plan import plan_text
from fleet.settings import Settings
from fleet.state.memory import Memory
from tests.reconcile import notation
from tests.reconcile.test_plan_cases import line, planned
from tests.simulated import Simulated

Simulate = Callable[[str], Simulated]

REGISTRY = "registry: {models: {" + ", ".join(f"'m{n}:1': {{size: 1KB}}" for n in range(5)) + "}}\n"


class Fleet:
    """One simulated host and passes over it, in process."""

    def __init__(self, folder: Path, simulate: Simulate) -> None:
        self.hosts = simulate("hosts: {alpha: {}}\n" + REGISTRY)
        self._settings = Settings(state_dir=str(folder / "state"), retry_tries=1, retry_wait=0.001)
        self._path = folder / "fleet.yaml"
        inventory = Path(self.hosts.inventory(folder / "hosts.yaml"))
        text = inventory.read_text(encoding="utf-8") + "name: test\npolicy: {prune: owned}\n"
        inventory.write_text(text, encoding="utf-8")
        self._arguments = SavedArguments(manifests=(str(self._path),), inventory=(str(inventory),))

    def apply(self, *models: str) -> Report:
        told = ", ".join(f'"{model}": ' for model in models)
        self._path.write_text(f"version: 1\nmodels: {{{told}}}\n", encoding="utf-8")
        work = work_of(self._arguments, self._settings).work
        return asyncio.run(carry_out(work, asyncio.run(make_plan(work)), Stop()))

    def owned(self) -> set[str]:
        with Memory(self._settings.state_dir, "test") as memory:
            host = memory.remembered().hosts[HostName("alpha")]
        return {str(name) for name, made in host.made.items() if made.owned}


@pytest.fixture
def fleet(tmp_path: Path, simulate: Simulate) -> Fleet:
    return Fleet(tmp_path, simulate)


def outcomes(report: Report) -> list[tuple[str, str, str]]:
    return [(result.step.action.value, str(result.step.model), result.outcome.value) for result in report.results]


@pytest.mark.fault("P9")
def test_what_could_not_be_deleted_stays_fleets_own_and_is_deleted_the_next_time(fleet: Fleet) -> None:
    fleet.apply("m0:1", "m1:1", "m2:1", "m3:1")
    fleet.hosts.fault("alpha", {"fault": "status", "status": 500, "endpoint": "delete", "model": "m1:1"})
    half = fleet.apply("m2:1", "m3:1")
    assert outcomes(half) == [("delete", "m0:1", "done"), ("delete", "m1:1", "failed")]
    assert fleet.owned() == {"m1:1", "m2:1", "m3:1"}
    fleet.hosts.heal("alpha")
    assert outcomes(fleet.apply("m2:1", "m3:1")) == [("delete", "m1:1", "done")]
    assert (fleet.owned(), fleet.hosts.names("alpha")) == ({"m2:1", "m3:1"}, {"m2:1", "m3:1"})


@pytest.mark.fault("P7", "P10")
def test_a_renamed_model_goes_only_once_its_new_name_is_proven(fleet: Fleet) -> None:
    fleet.apply("m0:1", "m1:1")
    fleet.hosts.fault("alpha", {"fault": "lie-success", "endpoint": "pull", "model": "m2:1"})
    lied = fleet.apply("m2:1", "m1:1")
    assert [(action, model) for action, model, outcome in outcomes(lied) if outcome == "done"] == []
    assert outcomes(lied)[-1] == ("delete", "m0:1", "not-tried")
    assert fleet.hosts.names("alpha") == {"m0:1", "m1:1"}
    fleet.hosts.heal("alpha")
    assert outcomes(fleet.apply("m2:1", "m1:1")) == [("pull", "m2:1", "done"), ("delete", "m0:1", "done")]


@pytest.mark.fault("P4")
def test_no_plan_counts_on_what_its_deletes_may_free() -> None:
    made = planned(
        {
            "hosts": {"alpha": {"capacity": {"disk": 2500}}},
            "desired": {"alpha": {"big:1": {}, "old:1": "absent"}},
            "observed": {
                "alpha": {
                    "models": {"old:1": {"is": "o", "size": 2000}},
                    "blobs": {"b-weights": False, "b-config": False},
                }
            },
            "served": {"big:1": "b"},
        }
    )
    assert [line(step) for step in made.steps] == ["alpha delete old:1 (declared-absent)"]
    assert [item.blocked.code for item in made.blocked] == [Code.DISK_TOO_SMALL]
    text = plan_text(made)
    assert "Deleted or replaced: 1 model, up to 2.0 KB\n" in text
    assert "up to 2.0 KB freed" in text


@pytest.mark.fault("P12")
def test_a_change_that_did_not_hold_is_a_failure_that_tells_both_values() -> None:
    name, host = ModelName.parse("m:1"), HostName("alpha")
    item = Item(name, Pull(), notation.PLACE)
    step = Step(1, host, name, "m:1", Action.PULL, Reason.DIGEST_DIFFERS)
    change = Change("digest", "sha256:aaaaaaaaaaaa", "sha256:bbbbbbbbbbbb")
    after = Plan("test", (), (HostDifference(host, (Difference(item, None, State.DIFFERS, step.reason, (change,)),)),))
    (failure,) = unproven(Plan("test", (step,)), after, [StepResult(step, Outcome.DONE)])
    assert failure.code is Code.NOT_AS_WANTED
    assert "digest is sha256:aaaaaaaaaaaa, wanted sha256:bbbbbbbbbbbb" in failure.message


@pytest.mark.fault("P1")
def test_a_plan_that_was_read_long_ago_says_so() -> None:
    made = datetime(2026, 8, 1, 12, tzinfo=UTC)
    saved = SavedPlan("test", made, "f", SavedArguments(), (), {})
    assert aged(saved, made + timedelta(hours=24)) is None
    told = aged(saved, made + timedelta(hours=49))
    assert told is not None
    assert "49 hours old" in told


@pytest.mark.fault("K7")
def test_what_somebody_put_there_is_not_fleets_even_in_equal_content(fleet: Fleet) -> None:
    fleet.hosts.post("/hosts/alpha/seed", {"model": "m0:1"})
    fleet.apply("m0:1", "m1:1")
    assert fleet.owned() == {"m1:1"}
    assert outcomes(fleet.apply("m1:1")) == []
