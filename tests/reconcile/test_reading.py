"""Replies of servers as values that decisions hang on, and which models have to be asked about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.names import Digest, ModelName
from fleet.ollama import wire
from fleet.ollama.wire import Listed, Running, Show
from fleet.reconcile.questions import removals, to_show
from fleet.reconcile.reading import content, listing, runners
from tests.reconcile import notation

RECORDINGS = Path(__file__).parents[1] / "recordings"
HEX = "a" * 64


def recorded(version: str, step: str) -> bytes:
    recording: Any = json.loads((RECORDINGS / f"{version}.json").read_text(encoding="utf-8"))
    return next(
        json.dumps(exchange["response"]["json"]).encode()
        for exchange in recording["exchanges"]
        if exchange["step"] == step
    )


def listed(*names: str) -> list[Listed]:
    return [Listed(name, HEX) for name in names]


@pytest.mark.fault("S16")
def test_names_in_two_spellings_are_set_aside_with_both() -> None:
    found = listing(listed("q:1", "Other:1", "Q:1", "other:1", "OTHER:1", "fine"))
    assert [str(name) for name in found.models] == ["fine:latest"]
    assert [(one.listed, other.listed) for one, other in found.collisions] == [
        ("OTHER:1", "Other:1"),
        ("OTHER:1", "other:1"),
        ("Q:1", "q:1"),
    ]


@pytest.mark.fault("S16")
def test_the_same_line_twice_is_a_collision_too() -> None:
    found = listing(listed("q:1", "q:1"))
    assert not found.models
    assert len(found.collisions) == 1


@pytest.mark.fault("S10", "S15")
def test_what_is_no_name_or_has_no_digest_is_kept_apart_and_cleaned() -> None:
    found = listing([Listed("a//b", HEX), Listed("q:1", "abc"), Listed("x\x1b[31m", HEX)])
    assert not found.models
    assert len(found.invalid) == 2
    assert found.unreadable == {ModelName.parse("q:1")}
    assert not any("\x1b" in name for name in found.invalid)


def test_a_cloud_stub_is_known_as_one() -> None:
    found = listing([Listed("q:1", HEX, remote_model="far")])
    assert found.models[ModelName.parse("q:1")].remote


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.permutations(["q:1", "Q:1", "q:1", "r:1", "R:1", "a//b", "//", "s", "S:LATEST", "t:2"]))
def test_the_order_of_a_listing_does_not_matter(names: list[str]) -> None:
    assert listing(listed(*names)) == listing(listed(*sorted(names)))


def test_runners_come_sorted_and_without_a_digest_that_is_none() -> None:
    found = runners([Running("q:1", HEX, 5, 4), Running("a:1", "nonsense")])
    assert [(each.listed, each.digest) for each in found] == [("a:1", None), ("q:1", Digest(HEX))]


@pytest.mark.parametrize(
    ("version", "context"), [("0.5.4", None), ("0.9.6", None), ("0.12.6", 512), ("0.24.0", 512), ("0.32.15", 512)]
)
def test_the_context_of_a_recorded_runner(version: str, context: int | None) -> None:
    (found,) = runners(wire.runners(recorded(version, "ps-num-ctx")))
    assert found.listed == "tiny:latest"
    assert found.context_length == context


@pytest.mark.parametrize("version", ["0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15"])
def test_a_recorded_host_lists_what_can_be_told_apart(version: str) -> None:
    found = listing(wire.models(recorded(version, "tags-final")))
    assert not found.collisions
    assert not found.invalid
    assert ModelName.parse("TINY") in found.models


def test_the_instruction_of_the_modelfile_counts_before_the_template_of_the_file() -> None:
    shown = Show(modelfile="FROM /blobs/sha256-" + HEX + "\nTEMPLATE {{ .Prompt }}\n", template="{% jinja %}")
    assert content(shown).template == "{{ .Prompt }}"
    assert content(Show(template="own")).template == "own"
    assert content(shown).weights == {Digest(HEX)}


@pytest.mark.parametrize(
    ("capabilities", "only"),
    [(None, False), (("embedding",), True), (("completion",), False), (("completion", "embedding"), False)],
)
def test_a_model_that_only_embeds(capabilities: tuple[str, ...] | None, only: bool) -> None:
    assert content(Show(capabilities=capabilities)).embeds_only is only


def test_the_longest_context_is_that_of_the_architecture() -> None:
    info = {"general.architecture": "llama", "llama.context_length": 8192, "other.context_length": 1}
    assert content(Show(model_info=info)).context_length == 8192
    assert content(Show(model_info={"general.architecture": 5})).architecture == ""


def asked(desired: dict[str, Any], models: dict[str, Any], running: list[dict[str, Any]]) -> list[str]:
    wanted = notation.host_desired("alpha", desired, {})
    present = {
        ModelName.parse(each): notation.present(each, about if isinstance(about, dict) else {"is": about})
        for each, about in models.items()
    }
    return [str(name) for name in to_show(wanted, present, [notation.runner(each) for each in running])]


@pytest.mark.parametrize(
    ("desired", "models", "running", "shown"),
    [
        ({"a:1": {}}, {"a:1": "a", "b:1": "b"}, [], []),
        ({"x:1": {"create": {"from": "a:1"}}}, {"a:1": "a", "x:1": "x"}, [], ["a:1", "x:1"]),
        ({"x:1": {"create": {"from": "a:1"}}}, {"x:1": "x"}, [], ["x:1"]),
        ({"a:1": {"warm": True}}, {"a:1": "a"}, [], ["a:1"]),
        ({"a:1": {"warm": True}}, {"a:1": "a", "b:1": "b"}, [{"name": "c:1", "is": "b"}], ["a:1", "b:1"]),
        ({"a:1": {}}, {"a:1": "a", "b:1": "b"}, [{"name": "b:1", "is": "b"}], []),
        ({"a:1": {"warm": True}}, {"a:1": "a"}, [{"name": "b:1", "is": "b"}, {"name": "c:1"}], ["a:1"]),
        ({"a:1": {"alias": "b:1"}}, {"a:1": "a", "b:1": "a"}, [], []),
        ({"a:1": {"alias": "b:1"}}, {"a:1": "a", "b:1": "b"}, [], ["b:1"]),
        ({"a:1": {"alias": "b:1"}}, {"b:1": "b"}, [], ["b:1"]),
        ({"a:1": {"alias": "b:1", "warm": True}}, {"a:1": "b", "b:1": "b"}, [], ["a:1", "b:1"]),
        (
            {"a:1": {"alias": "b:1"}, "b:1": {"alias": "c:1"}, "x:1": {"create": {"from": "a:1"}}},
            {"a:1": "c", "b:1": "c", "c:1": "c"},
            [],
            ["a:1", "b:1", "c:1"],
        ),
        ({"b:1": "absent"}, {"a:1": "a", "b:1": "b"}, [], []),
        ({"b:1": "absent"}, {"a:1": "a", "b:1": "b"}, [{"name": "b:1", "is": "b"}], ["a:1", "b:1"]),
        (
            {"b:1": "absent"},
            {"a:1": {"is": "a", "kind": ["gemma", "4B", "F16"]}, "b:1": "b"},
            [{"name": "b:1", "is": "b"}],
            ["b:1"],
        ),
        ({"a:1": {"warm": True}}, {"a:1": {"is": "a", "remote": True}}, [], []),
    ],
)
def test_only_those_are_asked_about_on_which_a_decision_hangs(
    desired: dict[str, Any], models: dict[str, Any], running: list[dict[str, Any]], shown: list[str]
) -> None:
    assert asked(desired, models, running) == shown


def test_removals_are_the_listed_names_alone() -> None:
    wanted = notation.host_desired("alpha", {"a:*": "absent", "b:1": "absent", "c:1": "absent", "a:2": {}}, {})
    models = {ModelName.parse(each): notation.present(each, {"is": "x"}) for each in ("A:1", "a:2", "b:1", "d:1")}
    assert removals(wanted, models) == {ModelName.parse("a:1"), ModelName.parse("b:1")}
