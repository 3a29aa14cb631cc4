"""Created models beside what was asked for, as recorded servers show them and field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fleet.manifest.item import Create, Message
from fleet.names import Digest, ModelName
from fleet.ollama import wire
from fleet.ollama.versions import Version
from fleet.reconcile.compare import changes, proven
from fleet.reconcile.observed import Content
from fleet.reconcile.reading import content
from tests.reconcile.notation import digest

RECORDINGS = Path(__file__).parents[1] / "recordings"
VERSIONS = ("0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15")
TINY = ModelName.parse("tiny")
MARIO = ModelName.parse("mario")

DERIVED = Create(
    TINY,
    system="You are Mario.",
    template="{{ .System }} {{ .Prompt }}",
    parameters={"num_ctx": 1048576, "stop": ("<a>", "<b>"), "temperature": 0.25},
    messages=(Message("user", "hi"), Message("assistant", "hello")),
    license=("MIT one",),
)
"""What every recording's `create-derived` asked for, in the dialect of its version."""


@lru_cache
def shows(version: str) -> Mapping[str, Content]:
    """What the recorded server of that version showed, by the name of the step."""
    recording: Any = json.loads((RECORDINGS / f"{version}.json").read_text(encoding="utf-8"))
    return {
        exchange["step"]: content(wire.read(wire.Show, json.dumps(exchange["response"]["json"]).encode()))
        for exchange in recording["exchanges"]
        if exchange["request"]["path"] == "/api/show" and exchange["response"]["status"] == 200
    }


def fields(create: Create, made: Content, base: Content, version: str) -> list[str]:
    return [change.field for change in changes(create, made, base, Version.parse(version))]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_create_shows_what_was_asked_for(version: str) -> None:
    shown = shows(version)
    assert fields(DERIVED, shown["show-derived"], shown["show-gguf"], version) == []
    assert proven(DERIVED, shown["show-derived"], shown["show-gguf"], Version.parse(version))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_create_over_a_created_model_adds_its_licence(version: str) -> None:
    shown = shows(version)
    assert fields(Create(MARIO, license=("MIT two",)), shown["show-self"], shown["show-derived"], version) == []
    assert fields(Create(MARIO, license=("MIT",)), shown["show-self"], shown["show-derived"], version) == ["license"]


def test_a_recorded_create_by_fields_cleared_a_list_and_nothing_else() -> None:
    for version in VERSIONS[1:]:
        shown = shows(version)
        asked = Create(MARIO, parameters={"stop": ()})
        # `temperature: null` was sent besides, which a manifest cannot say.
        assert fields(asked, shown["show-clear"], shown["show-self"], version) == ["parameters.temperature"]


def test_a_recorded_modelfile_cleared_the_system_text() -> None:
    shown = shows("0.5.4")
    asked = Create(MARIO, system="", parameters={"stop": ("",)})
    assert fields(asked, shown["show-clear"], shown["show-self"], "0.5.4") == []
    assert fields(Create(MARIO, parameters={"stop": ("",)}), shown["show-clear"], shown["show-self"], "0.5.4") == [
        "system"
    ]


@pytest.mark.parametrize("version", VERSIONS[2:])
def test_a_recorded_create_shows_renderer_and_parser(version: str) -> None:
    shown = shows(version)
    asked = Create(TINY, renderer="qwen3-coder", parser="qwen3-coder")
    # 0.12.6 does not know `requires`, and would not have been sent it.
    requires = None if version == "0.12.6" else "0.5.0"
    assert fields(replace(asked, requires=requires), shown["show-renderer"], shown["show-gguf"], version) == []
    other = replace(asked, renderer="other", requires=requires)
    assert fields(other, shown["show-renderer"], shown["show-gguf"], version) == ["renderer"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("otherwise", "field"),
    [
        ({"system": "You are Luigi."}, "system"),
        ({"system": None}, "system"),
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"template": None}, "template"),
        ({"messages": (Message("user", "hi"),)}, "messages"),
        ({"messages": ()}, "messages"),
        ({"license": ("MIT one", "MIT two")}, "license"),
        ({"license": ()}, "license"),
        ({"parameters": {**DERIVED.parameters, "num_ctx": 1048577}}, "parameters.num_ctx"),
        ({"parameters": {**DERIVED.parameters, "temperature": 0.26}}, "parameters.temperature"),
        ({"parameters": {**DERIVED.parameters, "stop": ("<b>", "<a>")}}, "parameters.stop"),
        ({"parameters": {**DERIVED.parameters, "stop": ("<a>",)}}, "parameters.stop"),
        ({"parameters": {**DERIVED.parameters, "top_k": 1}}, "parameters.top_k"),
        ({"parameters": {"stop": ("<a>", "<b>"), "temperature": 0.25}}, "parameters.num_ctx"),
    ],
)
def test_a_recorded_create_differs_from_anything_else(version: str, otherwise: dict[str, Any], field: str) -> None:
    shown = shows(version)
    asked = replace(DERIVED, **otherwise)
    assert fields(asked, shown["show-derived"], shown["show-gguf"], version) == [field]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_model_on_other_weights_differs(version: str) -> None:
    shown = shows(version)
    assert fields(Create(TINY, system="third"), shown["show-third"], shown["show-gguf"], version) == ["from"]


BASE = Content(frozenset({digest("q")}), "{{ .Prompt }}", "")


@pytest.mark.parametrize(
    ("name", "asked", "shown", "equal"),
    [
        ("temperature", 0.7, 0.699999988079071, True),
        ("temperature", 0.7, 0.7000001, False),
        ("temperature", 1, 1.0, True),
        ("temperature", 1e39, 2e39, True),
        ("num_ctx", 1048576, 1.048576e06, True),
        ("seed", 42000001, 42000002, False),
        ("seed", -1, -1.0, True),
        ("use_mmap", True, True, True),
        ("use_mmap", True, False, False),
        ("use_mmap", True, 1, False),
        ("temperature", 0.7, None, False),
        ("stop", ("a",), "a", True),
    ],
)
def test_a_parameter_as_shown(name: str, asked: Any, shown: Any, equal: bool) -> None:
    made = replace(BASE, parameters={name: (shown,)})
    assert (not changes(Create(TINY, parameters={name: asked}), made, BASE, Version(0, 32, 15))) is equal


def test_a_parameter_nobody_asked_for_is_a_difference_unless_the_base_has_it() -> None:
    made = replace(BASE, parameters={"top_k": (3,)})
    assert [(c.field, c.old, c.new) for c in changes(Create(TINY), made, BASE, Version(0, 32, 15))] == [
        ("parameters.top_k", "3", None)
    ]
    assert fields(Create(TINY), made, made, "0.32.15") == []


@pytest.mark.parametrize(
    ("version", "renderer", "differs"),
    [
        ("0.12.6", None, False),
        ("0.12.6", "r", False),
        ("0.12.7", "r", False),
        ("0.12.7", None, False),
        ("0.12.7", "s", True),
    ],
)
def test_an_inherited_renderer_may_have_been_lost_by_an_older_server(
    version: str, renderer: str | None, differs: bool
) -> None:
    base, made = replace(BASE, renderer="r"), replace(BASE, renderer=renderer)
    assert fields(Create(TINY), made, base, version) == (["renderer"] if differs else [])


def test_what_servers_add_unasked_is_accepted_for_those_architectures_alone() -> None:
    made = replace(BASE, renderer="gemma4", parser="gemma4", parameters={"stop": ("<turn|>",)})
    gemma = replace(BASE, architecture="gemma4")
    assert fields(Create(TINY), made, gemma, "0.32.15") == []
    assert fields(Create(TINY), made, BASE, "0.32.15") == ["parameters.stop", "renderer", "parser"]
    asked = Create(TINY, renderer="own", parameters={"stop": ("x",)})
    assert fields(asked, made, gemma, "0.32.15") == ["parameters.stop", "renderer"]


def test_requires_is_compared_where_it_is_declared_and_may_come_from_the_base() -> None:
    made = replace(BASE, requires="0.20.0")
    assert fields(Create(TINY), made, BASE, "0.32.15") == ["requires"]
    assert fields(Create(TINY), made, made, "0.32.15") == []
    assert fields(Create(TINY), BASE, made, "0.32.15") == []
    assert fields(Create(TINY, requires="0.20.0"), made, BASE, "0.32.15") == []
    assert fields(Create(TINY, requires="0.20.0"), BASE, BASE, "0.32.15") == ["requires"]


def test_a_licence_is_added_to_those_of_the_base() -> None:
    base = replace(BASE, license="one\ntwo")
    assert fields(Create(TINY, license=("three",)), replace(BASE, license="one\ntwo\nthree"), base, "0.32.15") == []
    assert fields(Create(TINY, license=("three",)), replace(BASE, license="three"), base, "0.32.15") == ["license"]


def test_an_empty_template_is_shown_as_the_default_one() -> None:
    assert fields(Create(TINY, template=""), BASE, BASE, "0.32.15") == []
    assert fields(Create(TINY, template=""), replace(BASE, template="{{ .System }}"), BASE, "0.5.4") == ["template"]


def test_weights_that_are_not_named_prove_nothing() -> None:
    unnamed = replace(BASE, weights=frozenset[Digest]())
    assert not proven(Create(TINY), unnamed, BASE, Version.parse("0.32.15"))
    assert fields(Create(TINY), unnamed, BASE, "0.32.15") == []


def test_texts_are_marked_as_sensitive_and_parameters_are_not() -> None:
    asked = Create(
        TINY, system="s", template="t", license=("l",), messages=(Message("user", "m"),), parameters={"seed": 1}
    )
    found = changes(asked, BASE, BASE, Version(0, 32, 15))
    assert {change.field: change.sensitive for change in found} == {
        "template": True,
        "system": True,
        "parameters.seed": False,
        "messages": True,
        "license": True,
    }
