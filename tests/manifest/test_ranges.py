"""Host ranges and templates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.faults import Misread
from fleet.manifest.ranges import expand, fill

STEADY = settings(deadline=None)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu-a", ["gpu-a"]),
        ("t-[1:3]", ["t-1", "t-2", "t-3"]),
        ("t-[08:11]", ["t-08", "t-09", "t-10", "t-11"]),
        ("t-[008:010].lan", ["t-008.lan", "t-009.lan", "t-010.lan"]),
        ("[a:c]x", ["ax", "bx", "cx"]),
        ("[B:D]", ["B", "C", "D"]),
        ("t[0:8:3]", ["t0", "t3", "t6"]),
        ("r[1:2]-n[a:b]", ["r1-na", "r1-nb", "r2-na", "r2-nb"]),
        ("t[5:5]", ["t5"]),
    ],
)
def test_a_range_is_many_names(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "t[3:1]",
        "t[c:a]",
        "t[A:c]",
        "t[a:C]",
        "t[1]",
        "t[]",
        "t[1:a]",
        "t[01:100]",
        "t[1:3:0]",
        "t[-1:3]",
        "[0:99999]",
        "[1:200][1:200]",
    ],
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(Misread):
        expand(text)


@STEADY
@given(st.integers(0, 5000), st.integers(0, 3000), st.integers(1, 50), st.integers(0, 6))
def test_every_number_of_a_range_is_there_once(first: int, more: int, step: int, width: int) -> None:
    last = first + more
    low, high = (str(one).zfill(max(width, len(str(last))) if width else 0) for one in (first, last))
    names = expand(f"x[{low}:{high}:{step}]")
    assert [int(name[1:]) for name in names] == list(range(first, last + 1, step))
    assert not width or len({len(name) for name in names}) == 1


def test_templates() -> None:
    known = {"name": "a", "site": "tyo"}
    assert fill("https://{name}.{site}.lan/{name}", known) == "https://a.tyo.lan/a"
    for wrong in ("{nam}", "{", "x}", "{}", "{{name}}", "{name"):
        with pytest.raises(Misread):
            fill(wrong, known)
