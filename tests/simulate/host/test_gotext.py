"""Text as Go prints it: expected texts were printed by Go programs."""

from __future__ import annotations

import json
import math
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate.gotext import (
    FOREVER,
    Float32,
    duration,
    json_number,
    json_text,
    moment,
    number,
    quoted,
    shown,
    single,
    sorted_keys,
    syntax,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ([True, False, 1, "a"], '[true,false,1,"a"]'),
        ({"b": 1, "a": {}}, '{"b":1,"a":{}}'),
        ("<a & b>", '"\\u003ca \\u0026 b\\u003e"'),
        ("é\u2028\n", '"é\\u2028\\n"'),
        (1.0, "1"),
        (0.7, "0.7"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-2.5e-9, "-2.5e-9"),
        (Float32(0.1), "0.1"),
        (Float32(9.999999747378752e-06), "0.00001"),
        (Float32(16777216.0), "16777216"),
    ],
)
def test_json(value: Any, text: str) -> None:
    assert json_text(value).decode() == text


def test_a_line_of_json_ends_in_a_newline() -> None:
    assert json_text({}, newline=True) == b"{}\n"


@given(JSON)
def test_json_is_json(value: Any) -> None:
    assert json.loads(json_text(value), parse_int=float) == value


@given(JSON)
def test_sorting_keys_loses_nothing(value: Any) -> None:
    assert sorted_keys(value) == value


def test_keys_are_sorted_at_every_depth() -> None:
    assert json_text(sorted_keys({"b": [{"d": 1, "c": 2}], "a": 0})) == b'{"a":0,"b":[{"c":2,"d":1}]}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (7.0, "7"),
        (100000.0, "100000"),
        (1000000.0, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-0.5, "-0.5"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_as_v_prints_them(value: float, text: str) -> None:
    assert number(value) == text


def test_numbers_of_32_bits_have_fewer_digits() -> None:
    assert number(single(0.1), bits=32) == "0.1"
    assert number(single(0.1)) == "0.10000000149011612"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_reads_back(value: float) -> None:
    assert float(number(value)) == value
    assert float(json_number(repr(value))) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_number_of_32_bits_reads_back(value: float) -> None:
    assert single(float(number(value, bits=32))) == value


@pytest.mark.parametrize(("value", "expected"), [(1e300, math.inf), (-1e300, -math.inf), (0.5, 0.5)])
def test_what_is_too_large_for_32_bits_is_infinite(value: float, expected: float) -> None:
    assert single(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", '"plain"'),
        ('say "hi"\n', '"say \\"hi\\"\\n"'),
        ("\x01\x7f", '"\\x01\\x7f"'),
        ("\u200b", '"\\u200b"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("é 日", '"é 日"'),
    ],
)
def test_quoting(text: str, expected: str) -> None:
    assert quoted(text) == expected


@pytest.mark.parametrize(
    ("value", "in_words", "in_syntax"),
    [
        (None, "<nil>", "<nil>"),
        (True, "true", "true"),
        ("a b", "a b", '"a b"'),
        (3, "3", "3"),
        (["a", 1.5, None], "[a 1.5 <nil>]", '[]interface {}{"a", 1.5, interface {}(nil)}'),
        ({"b": False, "a": 1}, "map[a:1 b:false]", 'map[string]interface {}{"a":1, "b":false}'),
    ],
)
def test_values_in_words_and_in_syntax(value: Any, in_words: str, in_syntax: str) -> None:
    assert (shown(value), syntax(value)) == (in_words, in_syntax)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5m", 300 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("-1.5s", -1_500_000_000),
        ("+.5ms", 500_000),
        ("1µs2ns", 1002),
        ("1.s", 10**9),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("never", 'time: invalid duration "never"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5 m", 'time: unknown unit " m" in duration "5 m"'),
        ("1h5x", 'time: unknown unit "x" in duration "1h5x"'),
        ("3000000h", 'time: invalid duration "3000000h"'),
    ],
)
def test_faults_of_durations(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"^time: ") as caught:
        duration(text)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("nanoseconds", "zone", "text"),
    [
        (0, UTC, "1970-01-01T00:00:00Z"),
        (1_500_000_000, UTC, "1970-01-01T00:00:01.5Z"),
        (1, timezone(timedelta(hours=-5, minutes=-30)), "1969-12-31T18:30:00.000000001-05:30"),
    ],
)
def test_moments(nanoseconds: int, zone: timezone, text: str) -> None:
    assert moment(nanoseconds, zone) == text


def test_for_ever_ends_in_the_twenty_third_century() -> None:
    assert moment(FOREVER).startswith("2262-")
