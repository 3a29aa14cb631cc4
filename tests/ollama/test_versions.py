from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.ollama.versions import Capability, Version, has


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.5.5", (0, 5, 5)),
        ("v0.5.5", (0, 5, 5)),
        ("0.32.15", (0, 32, 15)),
        ("0.5.5-rc0", (0, 5, 5)),
        ("0.5.7-0-ga420a45-dirty", (0, 5, 7)),
        ("0.12.6+build.4", (0, 12, 6)),
        ("1.0.0", (1, 0, 0)),
    ],
)
def test_a_version_counts_by_its_three_numbers(text: str, numbers: tuple[int, int, int]) -> None:
    version = Version.parse(text)
    assert (version.major, version.minor, version.patch) == numbers
    assert version.known
    assert str(version) == text


@pytest.mark.fault("H11")
@pytest.mark.parametrize(
    "text", ["0.0.0", "0.0.0-dev", "", "latest", "0.5", "0.5.", "0.5.5.1", "1234567.0.0", "\uff15.5.5"]
)
def test_development_builds_and_nonsense_are_not_known(text: str) -> None:
    assert not Version.parse(text).known


def test_what_a_server_calls_itself_is_cleaned_before_it_is_shown() -> None:
    assert str(Version.parse("0.5.5-\x1b[31m\n")) == "0.5.5-\\x1b[31m"


def test_versions_compare_by_number_and_not_by_text() -> None:
    assert Version.parse("0.9.6") < Version.parse("0.12.5") < Version.parse("0.12.6-rc1")
    assert Version.parse("0.5.5-rc0") == Version.parse("0.5.5")


@pytest.mark.fault("H11")
@pytest.mark.parametrize(
    ("capability", "without", "with_it"),
    [
        (Capability.CREATE_MODELFILE, "0.5.5", "0.5.4"),
        (Capability.CREATE_FIELDS, "0.5.4", "0.5.5"),
        (Capability.RENDERER, "0.11.8", "0.12.0"),
        (Capability.RENDERER_INHERITED, "0.12.6", "0.12.7"),
        (Capability.REQUIRES, "0.13.5", "0.14.0"),
        (Capability.UNLOAD_DIRECT, "0.3.10", "0.3.11"),
        (Capability.EMBED_LOADS, "0.3.4", "0.3.6"),
        (Capability.SHOW_CAPABILITIES, "0.6.3", "0.6.4"),
        (Capability.PS_CONTEXT, "0.9.6", "0.10.0"),
        (Capability.PS_CONTEXT_EFFECTIVE, "0.15.4", "0.15.5"),
        (Capability.STREAM_ERRORS_AS_STATUS, "0.12.5", "0.12.6"),
        (Capability.MARKER_TAGS, "0.17.1", "0.18.0"),
        (Capability.CREATE_DESTROYS, "0.12.6", "0.12.5"),
        (Capability.CREATE_DESTROYS, "0.5.4", "0.5.5"),
        (Capability.DRAFT, "0.24.0", "0.30.0"),
        (Capability.SPLIT_GGUF, "0.24.0", "0.30.0"),
        (Capability.NESTED_FILES, "0.24.0", "0.30.0"),
        (Capability.QUANTIZE_SHORT, "0.6.8", "0.7.0"),
        (Capability.QUANTIZE_BF16, "0.22.0", "0.22.1"),
    ],
)
def test_a_capability_begins_and_ends_with_its_release(capability: Capability, without: str, with_it: str) -> None:
    assert not has(Version.parse(without), capability)
    assert has(Version.parse(with_it), capability)


def test_each_capability_says_where_it_is_from() -> None:
    assert all(capability.value.about and capability.value.section for capability in Capability)
    assert len(set(Capability)) == len(Capability.__members__)


@pytest.mark.fault("H11")
def test_an_unknown_version_is_given_no_field_and_trusted_with_every_hazard() -> None:
    unknown = Version.parse("0.0.0")
    assert not has(unknown, Capability.CREATE_FIELDS)
    assert not has(unknown, Capability.CREATE_MODELFILE)
    assert not has(unknown, Capability.RENDERER)
    assert has(unknown, Capability.MARKER_TAGS)
    assert has(unknown, Capability.CREATE_DESTROYS)


def test_a_probe_proves_an_unknown_version_to_be_at_least_something() -> None:
    proven = Version.parse("0.0.0").proven(0, 5, 5)
    assert not proven.known
    assert has(proven, Capability.CREATE_FIELDS)
    assert not has(proven, Capability.RENDERER)
    assert not has(proven, Capability.CREATE_MODELFILE)
    assert proven.proven(0, 3, 4) == proven
    assert has(proven.proven(0, 7, 0), Capability.WRONG_METHOD_IS_405)


def test_an_unknown_version_proven_old_takes_a_modelfile() -> None:
    assert has(Version.parse("0.0.0").proven(0, 3, 4), Capability.CREATE_MODELFILE)


def test_a_known_version_needs_no_proof() -> None:
    assert Version.parse("0.5.4").proven(0, 5, 5) == Version.parse("0.5.4")


@given(st.tuples(*[st.integers(0, 999_999)] * 3).filter(any))
def test_every_release_is_read_as_written(numbers: tuple[int, int, int]) -> None:
    version = Version.parse("{}.{}.{}".format(*numbers))
    assert version.known
    assert (version.major, version.minor, version.patch) == numbers


@given(st.text())
def test_no_text_is_too_strange_to_be_a_version(text: str) -> None:
    assert str(Version.parse(text)).isprintable() or "\\" in repr(str(Version.parse(text)))
