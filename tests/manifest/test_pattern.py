"""Globs over model names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.faults import Misread
from fleet.manifest.pattern import matches, overlap, parse_pattern
from fleet.names import ModelName

STEADY = settings(deadline=None)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("test-*", "test-a"),
        ("test-*", "Test-A:7b"),
        ("TEST-*", "registry.ollama.ai/library/test-x:latest"),
        ("keep/*", "keep/x:1"),
        ("*", "anything:7b"),
        ("llama?:*b", "llama3:70b"),
        ("llama3:*", "llama3"),
        ("llama3", "llama3:8b"),
        ("*/*", "acme/m"),
        ("hf.co/*/*", "hf.co/a/b:Q4"),
        ("hf.co/*/*:Q?_*", "hf.co/a/b:q4_k_m"),
        ("*/*/*", "hf.co/a/b"),
        ("mirror.lan:*/*/*", "mirror.lan:5000/a/b"),
        ("a.b*", "a.bc"),
    ],
)
def test_it_matches(pattern: str, name: str) -> None:
    assert parse_pattern(pattern).text == pattern
    assert matches(pattern, ModelName.parse(name))


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("test-*", "acme/test-a"),
        ("test-*", "hf.co/library/test-a"),
        ("*", "acme/m"),
        ("keep/*", "keeper/x"),
        ("*/*", "hf.co/a/b"),
        ("llama3:7*", "llama3:8b"),
        ("llama?", "llama"),
        ("llama?", "llama31"),
        ("mirror*/a/b", "mirror.lan:5000/a/b"),
        ("a.b", "axb"),
        ("test", "test-a"),
    ],
)
def test_it_does_not_match(pattern: str, name: str) -> None:
    assert not matches(pattern, ModelName.parse(name))


@pytest.mark.parametrize(
    "text", ["", "a*/b/c/d", "a[b]*", "*@x", "a:*:b", "*/", "a b*", "x:*-cloud", "*:local", "?:CLOUD"]
)
def test_what_no_name_could_match_is_refused(text: str) -> None:
    with pytest.raises(Misread):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("test-a", "test-*"),
        ("test-a:7b", "TEST-*"),
        ("a*", "*b"),
        ("a*c", "ab?"),
        ("?b", "a*"),
        ("*", "**"),
        ("a/*:1", "a/b:?"),
        ("mirror.lan:*/a/b", "mirror.lan:5000/*/*"),
    ],
)
def test_patterns_that_a_name_could_match_both(one: str, other: str) -> None:
    assert overlap(one, other)
    assert overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("test-a", "text-*"),
        ("a*", "b*"),
        ("*a", "*b"),
        ("a?", "a"),
        ("a?", "a*cd"),
        ("a:1", "a:2*"),
        ("*", "acme/*"),
        ("a*/a/b", "a.lan:5000/a/b"),
        ("a?5/a/b", "a:5/a/b"),
    ],
)
def test_patterns_that_no_name_matches_both(one: str, other: str) -> None:
    assert not overlap(one, other)
    assert not overlap(other, one)


def test_many_stars_take_no_longer() -> None:
    assert not matches("*a" * 39 + "b", ModelName.parse("a" * 80))
    assert not overlap("*a" * 39 + "b", "a*" * 40 + "c")


PARTS = st.text("abcAB019_.-", min_size=1, max_size=8).filter(lambda text: text[0] not in ".-")
NAMES = st.builds("{}:{}".format, PARTS, PARTS).map(ModelName.parse)


@STEADY
@given(NAMES, st.data())
def test_a_name_with_any_letters_starred_still_matches_itself(name: ModelName, data: st.DataObject) -> None:
    text = str(name)
    chosen = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    starred = "".join("*" if star and letter != ":" else letter for letter, star in zip(text, chosen, strict=True))
    assert matches(starred, name)
    assert matches(starred.swapcase(), name)


@STEADY
@given(NAMES, NAMES)
def test_a_pattern_without_stars_matches_one_name_only(name: ModelName, other: ModelName) -> None:
    assert matches(str(name), other) == (name == other)


GLOBS = st.text("abAB*?", min_size=1, max_size=6)


@STEADY
@given(GLOBS, GLOBS, st.text("ab", min_size=1, max_size=6).map(ModelName.parse))
def test_patterns_of_one_name_overlap(one: str, other: str, name: ModelName) -> None:
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)


@STEADY
@given(GLOBS, st.text("ab", min_size=1, max_size=6))
def test_a_name_overlaps_with_what_matches_it(glob: str, name: str) -> None:
    assert overlap(glob, name) == matches(glob, ModelName.parse(name))
