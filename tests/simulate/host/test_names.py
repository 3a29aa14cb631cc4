"""Names of models as a server reads them (`ollama-api.md` 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.names import InvalidName, ModelName
from fleet.simulate.modelname import ConflictingMarkersError, Name, Reference


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("qwen3", "registry.ollama.ai/library/qwen3:latest", "qwen3:latest"),
        ("qwen3:8b", "registry.ollama.ai/library/qwen3:8b", "qwen3:8b"),
        ("acme/own", "registry.ollama.ai/acme/own:latest", "acme/own:latest"),
        ("localhost:5001/team/own:1", "localhost:5001/team/own:1", "localhost:5001/team/own:1"),
        ("https://hf.co/a/b:Q4", "hf.co/a/b:Q4", "hf.co/a/b:Q4"),
        ("Registry.Ollama.AI/Library/M", "Registry.Ollama.AI/Library/M:latest", "M:latest"),
        ("hf.co/library/m", "hf.co/library/m:latest", "hf.co/library/m:latest"),
    ],
)
def test_names_are_filled_in_and_shown_short(text: str, full: str, short: str) -> None:
    name = Name.parse(text)
    assert (name.full, str(name), name.valid) == (full, short, True)


@pytest.mark.parametrize(
    "text",
    ["", ":8b", "qwen3:", "a//b", "/a", "a/", "a b", "é", "-a", "ab:-x", "m@sha256:" + 64 * "1", "x" * 81, "m:" + 81 * "x"],
)  # fmt: skip
def test_names_that_are_none(text: str) -> None:
    assert not Name.parse(text).valid


WORD = st.text("abCD01._-", min_size=1, max_size=8)
NAMES = st.builds(
    "".join, st.lists(WORD | st.sampled_from(["/", ":", "//", "registry.ollama.ai", "library"]), max_size=7)
)


@given(NAMES)
def test_the_client_and_the_server_agree_on_names(text: str) -> None:
    """What fleet takes for a name is one for the server, and the same one."""
    try:
        ours = ModelName.parse(text)
    except InvalidName:
        return
    theirs = Name.parse(text)
    assert theirs.valid
    assert str(theirs) == str(ours)


@given(NAMES)
def test_a_shown_name_is_the_same_name(text: str) -> None:
    name = Name.parse(text)
    if name.valid and name.host != "registry.ollama.ai":
        assert Name.parse(name.full) == name
    if name.valid:
        assert str(Name.parse(str(name))) == str(name)


def test_each_part_takes_over_the_case_of_an_installed_one() -> None:
    installed = [Name.parse("Acme/Own:Q4"), Name.parse("tiny")]
    assert str(Name.parse("acme/OWN:q4").folded(installed)) == "Acme/Own:Q4"
    assert str(Name.parse("acme/new:q4").folded(installed)) == "Acme/new:Q4"
    assert str(Name.parse("TINY").folded(installed)) == "tiny:latest"


@pytest.mark.parametrize(
    ("text", "base", "source", "pulled"),
    [
        ("m", "m", "", "m"),
        ("m:8b", "m:8b", "", "m:8b"),
        ("m:local", "m", "local", "m"),
        (" m:LOCAL ", "m", "local", "m"),
        ("m:cloud", "m", "cloud", "m:cloud"),
        ("m:8b-cloud", "m:8b", "cloud", "m:8b-cloud"),
        ("localhost:5000/a-cloud", "localhost:5000/a-cloud", "", "localhost:5000/a-cloud"),
    ],
)
def test_source_markers(text: str, base: str, source: str, pulled: str) -> None:
    reference = Reference.parse(text)
    assert (reference.base, reference.source, reference.pulled) == (base, source, pulled)


def test_two_markers_are_one_too_many() -> None:
    with pytest.raises(ConflictingMarkersError, match=r'^use either :local or :cloud, not both: "m:local:cloud"$'):
        Reference.parse("m:local:cloud")
