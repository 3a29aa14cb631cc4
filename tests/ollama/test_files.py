"""Creates from files: what files are called towards servers, what is sent of them, and which levels can be made."""

from __future__ import annotations

import pytest

from fleet.ollama.file_keys import file_keys
from fleet.ollama.quantize import LEVELS, level, why_not
from fleet.ollama.request import CreateRequest
from fleet.ollama.versions import Version

UNKNOWN = Version.parse("0.0.0")
SENTENCES = ["1_Pooling/config.json", "2_Dense/deep/config.json", "2_Dense/model.safetensors", "config.json"]


@pytest.mark.parametrize("version", ["0.30.0", "0.32.15"])
def test_new_servers_are_told_the_folders_of_files(version: str) -> None:
    assert file_keys(SENTENCES, Version.parse(version)) == {path: path for path in SENTENCES}


@pytest.mark.parametrize("version", ["0.5.5", "0.24.0", "0.0.0"])
def test_older_and_unknown_ones_get_last_parts_and_of_equal_ones_the_topmost(version: str) -> None:
    assert file_keys(SENTENCES, Version.parse(version)) == {
        "config.json": "config.json",
        "2_Dense/model.safetensors": "model.safetensors",
    }
    assert file_keys(["b/x.json", "a/x.json"], Version.parse(version)) == {"a/x.json": "x.json"}


def test_a_create_sends_files_drafts_and_levels() -> None:
    request = CreateRequest(
        "m",
        files={"a.gguf": "sha256:1"},
        adapters={"b.gguf": "sha256:2"},
        draft_files={"c.gguf": "sha256:3"},
        quantize="Q8_0",
        draft_quantize="Q4_K_M",
    )
    assert request.body() == {
        "model": "m",
        "files": {"a.gguf": "sha256:1"},
        "adapters": {"b.gguf": "sha256:2"},
        "draft_files": {"c.gguf": "sha256:3"},
        "quantize": "Q8_0",
        "draft_quantize": "Q4_K_M",
    }


@pytest.mark.parametrize(("text", "spelled"), [("q4_k", "Q4_K_M"), ("q8_0", "Q8_0"), ("unknown", ""), ("", "")])
def test_a_level_has_one_spelling(text: str, spelled: str) -> None:
    assert level(text) == spelled


@pytest.mark.parametrize(
    ("wanted", "source", "version", "words"),
    [
        ("q4_0", "F16", "0.6.8", None),
        ("iq4_xs", None, "0.5.4", None),
        ("q4_0", "F16", "0.7.0", "Ollama 0.7.0 makes only F32, F16, BF16, Q8_0, Q4_K_S and Q4_K_M"),
        ("q4_k", "F16", "0.32.15", None),
        ("q9_9", None, "0.6.8", "no version"),
        ("q8_0", "BF16", "0.22.0", "from 0.22.1 on"),
        ("q8_0", "BF16", "0.22.1", None),
        ("q8_0", "Q8_0", "0.24.0", "Q8_0 already"),
        ("f16", "F16", "0.24.0", None),
        ("q8_0", "unknown", "0.24.0", "cannot tell the level"),
        ("q8_0", None, "0.24.0", None),
    ],
)
def test_which_levels_a_server_makes_and_from_what(
    wanted: str, source: str | None, version: str, words: str | None
) -> None:
    why = why_not(wanted, source, Version.parse(version))
    assert why is None if words is None else why is not None and words in why


def test_an_unknown_server_is_refused_only_what_none_makes() -> None:
    assert [wanted for wanted in sorted(LEVELS) if why_not(wanted, "BF16", UNKNOWN)] == []
    assert why_not("q9_9", None, UNKNOWN) is not None
    assert why_not("q4_0", None, UNKNOWN.proven(0, 7, 0)) is not None
