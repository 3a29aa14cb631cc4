from __future__ import annotations

import math

import pytest

from fleet.ollama.parameters import RUNNER_OPTIONS, check, known_in, runner_options
from fleet.ollama.versions import Version
from fleet.parameters import PARAMETERS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_ctx", 8192),
        ("num_ctx", 8192.0),
        ("seed", -1),
        ("temperature", 0),
        ("temperature", 0.7),
        ("use_mmap", False),
        ("stop", []),
        ("stop", ["<|eot_id|>", ""]),
        ("stop", ("a",)),
        ("draft_num_predict", 4),
    ],
)
def test_a_value_of_the_right_type_is_taken(name: str, value: object) -> None:
    assert check(name, value) is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("num_ctx", "8192", "`num_ctx` must be a whole number"),
        ("num_ctx", 0.5, "`num_ctx` must be a whole number"),
        ("num_ctx", True, "`num_ctx` must be a whole number"),
        ("num_ctx", 1 << 60, "`num_ctx` must be a whole number"),
        ("num_ctx", math.nan, "`num_ctx` must be a whole number"),
        ("temperature", "hot", "`temperature` must be a number"),
        ("temperature", math.inf, "`temperature` must be a number"),
        ("temperature", 3.5e38, "`temperature` must be a number"),
        ("temperature", 10**400, "`temperature` must be a number"),
        ("num_ctx", 10**400, "`num_ctx` must be a whole number"),
        ("temperature", None, "`temperature` must be a number"),
        ("use_mmap", 1, "`use_mmap` must be true or false"),
        ("stop", "<|eot_id|>", "`stop` must be a list of texts"),
        ("stop", [1], "`stop` must be a list of texts"),
        ("nonsense", 5, "`nonsense` is no parameter that any release of Ollama knows"),
    ],
)
def test_a_value_that_would_fail_only_at_load_is_named_before(name: str, value: object, problem: str) -> None:
    assert check(name, value) == problem


@pytest.mark.parametrize(
    ("name", "last_with", "first_without"),
    [("tfs_z", "0.5.1", "0.5.2"), ("penalize_newline", "0.5.4", "0.5.5"), ("mirostat", "0.6.8", "0.7.0")],
)
def test_dropped_parameters_end_with_their_release(name: str, last_with: str, first_without: str) -> None:
    assert known_in(name, Version.parse(last_with))
    assert not known_in(name, Version.parse(first_without))


def test_new_parameters_begin_with_their_release() -> None:
    assert not known_in("draft_num_predict", Version.parse("0.24.0"))
    assert known_in("draft_num_predict", Version.parse("0.30.0"))


def test_a_name_that_nobody_knows_is_known_in_no_release() -> None:
    assert not known_in("nonsense", Version.parse("0.32.15"))


def test_an_unknown_release_is_trusted_with_what_all_know() -> None:
    unknown = Version.parse("0.0.0")
    assert {name for name in PARAMETERS if known_in(name, unknown)} == {
        name
        for name in PARAMETERS
        if known_in(name, Version.parse("0.3.4")) and known_in(name, Version.parse("0.32.15"))
    }


def test_runner_options_follow_the_release() -> None:
    old, middle, new = (runner_options(Version.parse(text)) for text in ("0.5.4", "0.12.6", "0.32.15"))
    assert middle == {"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"}
    assert old - middle >= {"low_vram", "f16_kv", "vocab_only", "use_mlock"}
    assert new - middle == {"draft_num_predict", "shift"}
    assert "shift" not in runner_options(Version.parse("0.30.0"))


def test_on_an_unknown_release_every_option_that_ever_split_runners_may_do_so() -> None:
    assert runner_options(Version.parse("0.0.0")) == RUNNER_OPTIONS
    assert "temperature" not in RUNNER_OPTIONS
