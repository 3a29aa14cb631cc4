"""What hosts hold, and the entries that ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.manifest.inventory import Registry
from fleet.manifest.item import Alias, Create, Message, Pull
from fleet.names import HostName
from fleet.reconcile.backup import backup_of
from fleet.reconcile.importing.entries import Draft, DraftEntry, draft
from fleet.reconcile.importing.origin import Allowed
from fleet.reconcile.inside import Inside
from fleet.reconcile.observed import Present
from tests.reconcile.importing.insides import digest, host, inside, name

BASE: dict[str, Any] = {
    "is": "q",
    "system": "Base.",
    "parameters": {"stop": ("x", "y"), "top_k": (40,)},
    "licences": ["MIT"],
}
MADE = {**BASE, "is": "m", "weights": "q", "parent": "qwen3:8b"}


def drafted(*insides: Inside, **more: Any) -> Draft:
    return draft(insides, {each.host.name: each.host for each in insides}, Allowed(**more))


def entries(made: Draft) -> dict[str, DraftEntry]:
    """Of the first document, by name."""
    return {str(entry.name): entry for entry in made.documents[0]}


def of(models: dict[str, Any], version: str = "0.32.15") -> dict[str, DraftEntry]:
    return entries(drafted(inside("alpha", models, version)))


def test_what_all_hosts_hold_is_said_once_and_without_a_selector() -> None:
    made = drafted(inside("alpha", {"qwen3:8b": "a"}), inside("beta", {"qwen3:8b": "a", "phi4:14b": "b"}))
    found = entries(made)
    assert [(str(entry.name), entry.source, entry.where) for entry in found.values()] == [
        ("phi4:14b", Pull(), "name=beta"),
        ("qwen3:8b", Pull(), None),
    ]
    assert len(made.documents) == 1
    assert not made.aliases


def test_hosts_that_were_not_looked_into_are_not_meant() -> None:
    alpha, beta = host("alpha"), host("beta")
    made = draft([inside(alpha, {"qwen3:8b": "a"})], {each.name: each for each in (alpha, beta)})
    assert entries(made)["qwen3:8b"].where == "name=alpha"


def test_different_contents_of_a_pulled_name_are_told() -> None:
    made = drafted(inside("alpha", {"q:1": "a"}), inside("beta", {"q:1": "b"}), inside("gamma", {"q:1": "b"}))
    (note,) = entries(made)["q:1"].notes
    assert note == (
        f"not the same content everywhere: sha256:{digest('b').short} on beta, gamma; sha256:{digest('a').short} on alpha"
    )


def test_a_model_that_is_made_from_another_one_there() -> None:
    made = MADE | {
        "system": "You are Mario.",
        "template": "{{ .System }}",
        "parameters": {"stop": ("x", "y"), "top_k": (40,), "temperature": (0.5,), "num_ctx": (8192.0,)},
        "messages": (("user", "Hi"), ("assistant", "It's me")),
        "licences": ["MIT", "ours"],
        "requires": "0.14.0",
    }
    assert of({"qwen3:8b": BASE, "mario": made})["mario:latest"].source == Create(
        name("qwen3:8b"),
        system="You are Mario.",
        template="{{ .System }}",
        parameters={"num_ctx": 8192, "temperature": 0.5},
        messages=(Message("user", "Hi"), Message("assistant", "It's me")),
        license=("ours",),
        requires="0.14.0",
    )


@pytest.mark.parametrize(
    ("made", "version", "doubt"),
    [
        ({"parent": "/models/blobs/sha256-00"}, "0.9.6", "made from a file"),
        ({"parent": "half.gguf"}, "0.32.15", "made from a file"),
        ({"parent": "other:7b"}, "0.9.6", "made from `other:7b`, here or by its publisher, which is not here"),
        ({"parent": "mario:latest"}, "0.9.6", "a model of its own name"),
        ({"weights": "z"}, "0.9.6", "its weights are not those that `qwen3:8b` has now"),
        ({"weights": ""}, "0.32.15", "its weights are not those"),
        ({"parameters": {"top_k": (40,)}}, "0.9.6", "what differs in `parameters.stop` cannot be written"),
        ({"parameters": BASE["parameters"] | {"magic": (1,)}}, "0.9.6", "its parameter `magic` is none"),
        ({"parameters": BASE["parameters"] | {"seed": ("one",)}}, "0.9.6", "its parameter `seed` has a value"),
        ({"parameters": BASE["parameters"] | {"seed": (None,)}}, "0.9.6", "its parameter `seed` has a value"),
        ({"system": ""}, "0.9.6", "`system` is declared empty"),
        ({"messages": (("tool", "x"),)}, "0.9.6", "a role that no manifest can name"),
        ({"messages": (("user", "\x1b"),)}, "0.9.6", "its `messages` has control characters"),
        ({"licences": []}, "0.9.6", "not all the licences of its base"),
        ({"system": "a\x00b"}, "0.9.6", "its `system` cannot be written"),
        ({"system": "a\u200db"}, "0.5.4", "`system` cannot be written for Ollama 0.5.4"),
        ({"renderer": "../x"}, "0.12.6", "its renderer is no name"),
    ],
)
def test_what_cannot_be_told_is_written_as_pulled_with_the_reason(
    made: dict[str, Any], version: str, doubt: str
) -> None:
    entry = of({"qwen3:8b": BASE, "mario": MADE | made}, version)["mario:latest"]
    assert entry.source == Pull()
    (note,) = entry.notes
    assert note.startswith("written as pulled, and how it was made cannot be told: ")
    assert doubt in note


def test_an_old_server_can_clear_a_text() -> None:
    source = of({"qwen3:8b": BASE, "mario": MADE | {"system": ""}}, "0.5.4")["mario:latest"].source
    assert isinstance(source, Create)
    assert source.system == ""


def test_control_characters_may_stand_in_a_file_alone() -> None:
    models = {"qwen3:8b": BASE, "mario": MADE | {"system": "\x1b[1m"}}
    there = inside("alpha", models, "0.9.6")
    assert isinstance(entries(drafted(there))["mario:latest"].source, Create)
    without = entries(drafted(there, files=False))["mario:latest"]
    assert without.source == Pull()
    assert "need `--out` with a folder" in without.notes[0]


@pytest.mark.parametrize(
    ("models", "root"),
    [
        ({"chat": "a", "acme/assistant": "a", "made": {"is": "m", "weights": "a", "parent": "acme/assistant:latest"}}, "acme/assistant:latest"),
        ({"a-copy": {"is": "a", "at": 5}, "z-first": {"is": "a", "at": 1}, "b-copy": {"is": "a", "at": 9}}, "z-first:latest"),
        ({"chat": {"is": "a", "at": 1}, "qwen3:8b": {"is": "a", "at": 1}}, "qwen3:8b"),
        ({"b:1": "a", "a:1": "a"}, "a:1"),
    ],
    ids=["made from", "oldest", "tagged", "first"],
)  # fmt: skip
def test_of_names_with_one_content_the_others_are_aliases(models: dict[str, Any], root: str) -> None:
    made = drafted(inside("alpha", models))
    assert made.aliases
    sources = {called: entry.source for called, entry in entries(made).items()}
    assert not isinstance(sources.pop(root), Alias)
    copies = [source for called, source in sources.items() if called != "made:latest"]
    assert copies == [Alias(name(root))] * len(copies)


def test_the_source_is_the_same_on_all_hosts() -> None:
    older = {"x:1": {"is": "a", "at": 1}, "y:1": {"is": "a", "at": 2}}
    newer = {"x:1": {"is": "b", "at": 7}, "y:1": {"is": "b", "at": 3}}
    made = drafted(inside("alpha", older), inside("beta", older), inside("gamma", newer))
    assert entries(made)["y:1"].source == Alias(name("x:1"))
    assert entries(made)["y:1"].where is None


def test_no_circle_is_written() -> None:
    models = {
        "a:1": {"is": "a", "weights": "w", "parent": "b:1"},
        "b:1": {"is": "b", "weights": "w", "parent": "c:1", "system": "B"},
        "c:1": {"is": "c", "weights": "w", "parent": "a:1", "system": "C"},
        "d:1": {"is": "c", "weights": "w", "parent": "a:1", "system": "C"},
    }
    found = of(models, "0.5.4")
    assert [type(entry.source) for entry in found.values()].count(Pull) == 1
    assert any("may itself be made from it by now" in note for entry in found.values() for note in entry.notes)


def test_what_cannot_be_declared_is_left_out_with_the_reason() -> None:
    x = Present(name("x"), "X:latest", digest("x"), 1)
    there = inside(
        "alpha",
        {
            "gpt:big": {"is": "g", "remote": True},
            "broken:1": {"is": "b", "broken": True},
            "m:local": "l",
            "hf.co/a/b:Q4": "h",
            str(backup_of(name("m"))): "o",
            "fine:1": "f",
        },
        collisions=((x, Present(name("x"), "x:latest", digest("y"), 1)),),
        unreadable=frozenset({name("odd:1")}),
        invalid=("..",),
    )
    made = drafted(there, registries={"registry.ollama.ai": Registry("registry.ollama.ai")})
    assert list(entries(made)) == ["fine:1"]
    assert [text.split(" ", 2)[:2] for text in made.left_out[HostName("alpha")]] == [
        ["`..`", "is"],
        ["`X:latest`", "and"],
        ["`broken:1`", "is"],
        [f"`{backup_of(name('m'))}`", "is"],
        ["`gpt:big`", "is"],
        ["`hf.co/a/b:Q4`", "is"],
        ["`m:local`", "has"],
        ["`odd:1`", "is"],
    ]


def test_hosts_that_hold_a_model_in_another_way_have_a_document_of_their_own() -> None:
    base = {"qwen3:8b": BASE}
    mario, luigi = MADE | {"system": "Mario"}, MADE | {"system": "Luigi", "is": "l"}
    made = drafted(
        inside(host("alpha", tier="prod"), base | {"m": mario}, "0.9.6"),
        inside(host("beta", tier="prod"), base | {"m": mario}, "0.32.15"),
        inside(host("gamma", tier="test"), base | {"m": luigi}),
    )
    first, second = ({str(entry.name): entry for entry in document} for document in made.documents)
    assert first["m:latest"].where == "tier=prod"
    assert list(second) == ["m:latest"]
    assert second["m:latest"].where == "tier=test"
    source = second["m:latest"].source
    assert isinstance(source, Create)
    assert source.system == "Luigi"
