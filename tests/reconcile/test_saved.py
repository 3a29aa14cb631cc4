"""Plan files: private, checked, without contents, and refused where anything that they touch moved on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.codes import Code
from fleet.errors import ExitCode, GuardError, InputError
from fleet.names import HostName
from fleet.reconcile.difference import Change
from fleet.reconcile.plan import plan
from fleet.reconcile.saved import SavedArguments, SavedPlan, change_as_json, match, read, save, step_as_json, summary
from fleet.reconcile.step import Plan
from tests.reconcile import notation

SECRET = "the recipe nobody may see"
ARGUMENTS = SavedArguments(("/m/é",), ("/i",), "me", ("a=b",), ("al*",), "tier=prod", ("q*",), 7, ("alpha",), True)

DESIRED: dict[str, Any] = {
    "alpha": {
        "q:1": {},
        "x:1": {"create": {"from": "q:1", "system": SECRET}, "warm": {"keep": 600}},
        "old:1": "absent",
    },
    "beta": {"p:1": {}, "none:1": {"alias": "nowhere:1"}},
    "gamma": {"q:1": {}},
}
OBSERVED: dict[str, Any] = {
    "alpha": {"models": {"q:1": "q", "x:1": {"is": "x", "weights": ["q"], "system": SECRET[::-1]}, "old:1": "o"}},
    "beta": [],
    "gamma": "NO_ANSWER",
}


def planned(desired: dict[str, Any] = DESIRED, observed: dict[str, Any] = OBSERVED) -> Plan:
    wanted = notation.desired({"desired": desired})
    seen = {
        HostName(host): notation.observation(host, about, wanted.hosts[HostName(host)])
        for host, about in observed.items()
    }
    return plan(wanted, seen, fingerprint="abc")


def alpha(**models: Any) -> dict[str, Any]:
    """Other models on the first host; without a value, gone."""
    now = {**OBSERVED["alpha"]["models"], **{name.replace("_", ":"): about for name, about in models.items()}}
    return {**OBSERVED, "alpha": {"models": {name: about for name, about in now.items() if about is not None}}}


@pytest.fixture
def saved(tmp_path: Path) -> SavedPlan:
    save(planned(), ARGUMENTS, str(tmp_path / "plan"))
    return read(str(tmp_path / "plan"))


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    made = planned()
    save(made, ARGUMENTS, str(tmp_path / "plan"))
    back = read(str(tmp_path / "plan"))
    assert back.arguments == ARGUMENTS
    assert back.name == "test"
    assert back.fingerprint == "abc"
    assert back.created_at.tzinfo is not None
    assert list(back.steps) == [step_as_json(step) for step in made.steps]
    assert back.unobserved == ("gamma",)
    assert [(each["host"], each["model"], each["code"]) for each in back.blocked] == [
        ("beta", "none:1", Code.SOURCE_NOT_THERE.id)
    ]
    assert match(back, made) == made


def test_refusals_are_saved_with_what_they_held_back(tmp_path: Path) -> None:
    wanted = notation.desired({"desired": {"alpha": {"old:1": "absent"}}, "max_deletes": 0})
    host = HostName("alpha")
    made = plan(wanted, {host: notation.observation("alpha", ["old:1"], wanted.hosts[host])})
    save(made, SavedArguments(), str(tmp_path / "plan"))
    back = read(str(tmp_path / "plan"))
    assert [(each["host"], each["code"]) for each in back.refused] == [("alpha", Code.TOO_MANY_DELETES.id)]
    assert list(back.refused[0]["would"]) == ["delete old:1 on alpha (declared-absent)"]


@pytest.mark.fault("P2")
def test_the_file_is_private_and_whole_at_once(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_text("what was there", encoding="utf-8")
    path.chmod(0o644)
    save(planned(), ARGUMENTS, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["plan"]


@pytest.mark.fault("P2", "P11")
def test_no_text_of_a_manifest_or_a_host_is_inside(tmp_path: Path) -> None:
    save(planned(), ARGUMENTS, str(tmp_path / "plan"))
    written = (tmp_path / "plan").read_text(encoding="utf-8")
    assert SECRET not in written
    assert SECRET[::-1] not in written
    assert f"({len(SECRET)} bytes)" in written


@pytest.mark.fault("P2")
def test_every_changed_byte_is_refused(tmp_path: Path) -> None:
    wanted = notation.desired({"desired": {"alpha": ["q:1"]}})
    host = HostName("alpha")
    made = plan(wanted, {host: notation.observation("alpha", [], wanted.hosts[host])})
    path = tmp_path / "plan"
    save(made, SavedArguments(manifests=("/é",)), str(path))
    whole = path.read_bytes()
    accepted = []
    for position, byte in enumerate(whole):
        for other in {byte ^ 1, ord(" ")} - {byte}:
            path.write_bytes(whole[:position] + bytes([other]) + whole[position + 1 :])
            try:
                read(str(path))
            except (GuardError, InputError):
                continue
            accepted.append((position, other))
    assert accepted == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b"version: 1\nmodels: {}\n"],
    ids=["nothing", "empty", "list", "null", "text", "bytes", "deep", "manifest"],
)
def test_what_is_no_plan_is_the_users_mistake(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "plan").write_bytes(raw)
    with pytest.raises(InputError) as refusal:
        read(str(tmp_path / "plan"))
    assert refusal.value.exit_code is ExitCode.INPUT_WRONG
    assert "fleet plan --save" in (refusal.value.hint or "")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan")
    with pytest.raises(InputError, match="no regular file"):
        read(str(tmp_path / "plan"))


@pytest.mark.parametrize("change", [{"steps": [5]}, {"steps": [{}]}, {"arguments": {"manifests": 5}}, {"urls": []}])
def test_a_forged_plan_of_other_shapes_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "plan"
    save(planned(), ARGUMENTS, str(path))
    body = json.loads(path.read_bytes())["fleet_plan"] | change
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    path.write_text(json.dumps({"checksum": checksum, "fleet_plan": body}, indent=1, sort_keys=True) + "\n")
    with pytest.raises(GuardError):
        read(str(path))


@pytest.mark.fault("P1", "P2")
def test_a_plan_for_another_machine_or_fleet_no_longer_fits(saved: SavedPlan) -> None:
    made = planned()
    assert match(saved, replace(made, urls=dict(made.urls))) == made
    with pytest.raises(GuardError, match="alpha: was at http://alpha"):
        match(saved, replace(made, urls={**made.urls, HostName("alpha"): "http://elsewhere:11434"}))
    with pytest.raises(GuardError, match="it is for the fleet `test`"):
        match(saved, replace(made, name="other"))


def test_a_part_of_a_plan_and_more_than_a_plan_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    save(planned(), ARGUMENTS, str(path))
    whole = path.read_bytes()
    for changed in (whole[:-1], whole[: len(whole) // 2], whole + b"\n", b" " + whole):
        path.write_bytes(changed)
        with pytest.raises(GuardError):
            read(str(path))


@pytest.mark.fault("P1")
def test_a_plan_of_another_format_is_refused_though_its_checksum_fits(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    save(planned(), ARGUMENTS, str(path))
    body = json.loads(path.read_bytes())["fleet_plan"]
    for number, refused in ((1, False), (2, True)):
        body["format"] = number
        checksum = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        whole = {"checksum": checksum, "fleet_plan": body}
        path.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if refused:
            with pytest.raises(GuardError, match="another version of fleet"):
                read(str(path))
        else:
            assert read(str(path)).name == "test"


def test_a_file_that_is_not_there_or_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as missing:
        read(str(tmp_path / "nothing"))
    assert missing.value.exit_code is ExitCode.INPUT_WRONG
    with pytest.raises(InputError, match="cannot be written"):
        save(planned(), ARGUMENTS, str(tmp_path / "no-folder" / "plan"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save(planned(), ARGUMENTS, str(tmp_path / "folder"))
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (alpha(x_1=None), "was create (fields-differ) and load (content-changes), is create (missing)"),
        (alpha(x_1={"is": "w", "weights": ["q"], "system": "w"}), "alpha: x:1"),
        (alpha(x_1={"is": "x", "weights": ["q"], "system": SECRET}), "is load (not-warm)"),
        (alpha(old_1=None), "alpha: old:1: was delete (declared-absent), is as desired"),
        (alpha(old_1="n"), "alpha: old:1"),
        ({**OBSERVED, "alpha": "UNREACHABLE"}, "is as desired"),
        ({**OBSERVED, "beta": ["p:1"]}, "beta: p:1: was pull (missing), is as desired"),
        (alpha(q_1=None), "alpha: q:1: was as desired, is pull (missing)"),
    ],
    ids=["gone", "replaced", "made", "deleted", "moved", "down", "pulled", "base-gone"],
)
@pytest.mark.fault("P1")
def test_a_touched_model_that_moved_on_makes_the_plan_stale(
    saved: SavedPlan, observed: dict[str, Any], words: str
) -> None:
    with pytest.raises(GuardError) as refusal:
        match(saved, planned(observed=observed))
    assert refusal.value.code is Code.PLAN_STALE
    assert words in str(refusal.value)


@pytest.mark.fault("P1")
def test_a_manifest_that_says_something_else_makes_the_plan_stale(saved: SavedPlan) -> None:
    for changed in (
        {"create": {"from": "q:1", "system": "another"}, "warm": {"keep": 600}},
        {"create": {"from": "q:1", "system": SECRET}, "warm": {"keep": 601}},
        {"create": {"from": "q:1", "system": SECRET}},
    ):
        desired = {**DESIRED, "alpha": {**DESIRED["alpha"], "x:1": changed}}
        with pytest.raises(GuardError, match="x:1"):
            match(saved, planned(desired=desired))


def test_a_delete_that_a_guard_holds_back_by_now_is_told_with_its_guard(saved: SavedPlan) -> None:
    wanted = notation.desired({"desired": DESIRED, "protect": ["old"]})
    seen = {
        HostName(host): notation.observation(host, about, wanted.hosts[HostName(host)])
        for host, about in OBSERVED.items()
    }
    with pytest.raises(GuardError) as raised:
        match(saved, plan(wanted, seen))
    assert (
        "alpha: old:1: was delete (declared-absent), is held back: `policy.protect` covers `old:1` on `alpha`;"
        " nothing is deleted there (FLT-502)" in str(raised.value)
    )


def test_what_the_plan_does_not_touch_may_change(saved: SavedPlan) -> None:
    desired = {**DESIRED, "gamma": {"q:1": {}}, "alpha": {**DESIRED["alpha"], "new:1": {}}, "aaa": {"q:1": {}}}
    observed = {**alpha(other_1="z"), "gamma": [], "aaa": []}
    fresh = planned(desired, observed)
    assert {(step.host, str(step.model)) for step in fresh.steps} >= {("gamma", "q:1"), ("alpha", "new:1")}
    kept = match(saved, fresh)
    assert [(step.host, str(step.model), step.action) for step in kept.steps] == [
        (each["host"], each["model"], each["action"]) for each in saved.steps
    ]
    assert [step.number for step in kept.steps] == list(range(1, len(kept.steps) + 1))
    assert [list(step.needs) for step in kept.steps] == [each["needs"] for each in saved.steps]


def test_a_plan_without_steps_no_longer_fits_once_there_are_some(tmp_path: Path) -> None:
    nothing = planned({"alpha": {"q:1": {}}}, {"alpha": {"models": {"q:1": "q"}}})
    assert nothing.steps == ()
    save(nothing, ARGUMENTS, str(tmp_path / "plan"))
    saved = read(str(tmp_path / "plan"))
    assert match(saved, nothing).steps == ()
    with pytest.raises(GuardError, match="alpha: q:1: was as desired, is pull"):
        match(saved, planned({"alpha": {"q:1": {}}}, {"alpha": {"models": {}}}))


def test_another_spelling_of_the_host_is_no_change(saved: SavedPlan) -> None:
    kept = match(saved, planned(observed=alpha(x_1=None, X_1=OBSERVED["alpha"]["models"]["x:1"])))
    assert [step.listed for step in kept.steps if step.host == "alpha"] == ["X:1", "X:1", "old:1"]


def test_a_text_is_summed_up_by_hash_and_size_in_bytes() -> None:
    assert summary("é") == "sha256:4a99557e4033 (2 bytes)"
    assert summary("") == ""
    assert summary(None) is None
    assert summary("\ud800") is not None


@pytest.mark.fault("P11")
def test_sensitive_values_are_shown_only_on_request() -> None:
    change = Change("system", "old", None, sensitive=True)
    assert change_as_json(change)["old"] != "old"
    assert change_as_json(change, show=True) == {"field": "system", "old": "old", "new": None}
    assert change_as_json(replace(change, sensitive=False))["old"] == "old"


def test_a_step_is_written_with_all_that_a_reader_needs() -> None:
    written = json.loads(json.dumps(step_as_json(planned().steps[0])))
    assert written["host"] == "alpha"
    assert written["model"] == "x:1"
    assert written["action"] == "create"
    assert written["old"] == str(notation.digest("x"))
    assert written["new_known_after_step"] == 1
    assert written["source"] == "q:1"
    assert [change["field"] for change in written["changes"]] == ["system"]
