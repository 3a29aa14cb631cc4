"""`fleet show`: what a plan file says, and files that only look like one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleet.errors import InputError
from fleet.reconcile.saved import SavedArguments, SavedPlan, SavedStep, read, save
from fleet.reconcile.step import Plan
from fleet.render.saved_plan import saved_document, saved_text
from tests.render import examples

ARGUMENTS = SavedArguments(manifests=("/srv/fleet/models.yaml",), inventory=("/srv/fleet/hosts.yaml",))


def saved(plan: Plan, folder: Path) -> SavedPlan:
    path = str(folder / "plan.json")
    save(plan, ARGUMENTS, path)
    return read(path)


def test_a_saved_plan_reads_like_the_plan(tmp_path: Path) -> None:
    text = saved_text(saved(examples.full_plan(), tmp_path))
    head, _, rest = text.partition("\n")
    assert head.startswith("Plan of `acme`, made 2")
    assert head.endswith("from /srv/fleet/models.yaml")
    assert "Not observed then, so nothing is planned there: gamma" in rest
    assert "  3  ~ create  acme/mario:latest      fields differ; from qwen3:8b; 59195c6c541c → known when done" in rest
    assert "system: sha256:fe1a1a808405 (14 bytes) → sha256:2626c0e90771 (24 bytes)" in rest
    assert "  - old:1b  deleted, cba06b5736fa, 1.3 GB on alpha" in rest
    assert "acme/stuck:latest on beta" in rest
    assert "would have:" in rest


def test_a_saved_plan_without_steps(tmp_path: Path) -> None:
    text = saved_text(saved(examples.clean_plan(), tmp_path))
    assert text.endswith("\n\nNo steps to take\n")


def test_a_saved_plan_for_machines(tmp_path: Path) -> None:
    document = saved_document(saved(examples.full_plan(), tmp_path))
    assert (document["type"], document["format"], document["name"]) == ("saved-plan", 1, "acme")
    assert [step["action"] for step in document["steps"]][6:9] == ["delete", "pull", "upload"]
    assert document["manifests"] == ["/srv/fleet/models.yaml"]
    assert document["unobserved"] == ["gamma"]


@pytest.mark.parametrize(
    "wrong", [{"action": "format"}, {"host": "a b"}, {"old": "1"}, {"model": 3}, {"changes": None}, {"step": "x"}]
)
def test_a_file_that_only_looks_like_a_plan(tmp_path: Path, wrong: dict[str, Any]) -> None:
    plan = saved(examples.full_plan(), tmp_path)
    broken = replace(plan, steps=(cast("SavedStep", {**dict(plan.steps[0]), **wrong}),))
    with pytest.raises(InputError, match="a part of it is not what fleet writes"):
        saved_text(broken)
