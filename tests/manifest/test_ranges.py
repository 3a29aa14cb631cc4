"""Host ranges and templates."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.faults import ManifestErrors, Misread
from fleet.manifest.load import load
from fleet.manifest.ranges import expand, extent, fill

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
    assert extent(text) == (len(names), names[-1])


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
    for read in (expand, extent):
        with pytest.raises(Misread):
            read(text)


@STEADY
@given(st.integers(0, 5000), st.integers(0, 3000), st.integers(1, 50), st.integers(0, 6))
def test_every_number_of_a_range_is_there_once(first: int, more: int, step: int, width: int) -> None:
    last = first + more
    low, high = (str(one).zfill(max(width, len(str(last))) if width else 0) for one in (first, last))
    names = expand(f"x[{low}:{high}:{step}]")
    assert [int(name[1:]) for name in names] == list(range(first, last + 1, step))
    assert not width or len({len(name) for name in names}) == 1
    assert extent(f"x[{low}:{high}:{step}]") == (len(names), names[-1])


def test_templates() -> None:
    known = {"name": "a", "site": "tyo"}
    assert fill("https://{name}.{site}.lan/{name}", known) == "https://a.tyo.lan/a"
    for wrong in ("{nam}", "{", "x}", "{}", "{{name}}", "{name"):
        with pytest.raises(Misread):
            fill(wrong, known)


def test_far_too_many_hosts_are_refused_without_being_made() -> None:
    ranges = "".join(f'  h{number}-[1:9999]: "{{name}}.lan"\n' for number in range(300))
    content = io.BytesIO(f"version: 1\nhosts:\n{ranges}".encode())
    start = time.process_time()
    with pytest.raises(ManifestErrors) as caught:
        load(["-"], stdin=content)
    assert [str(fault) for fault in caught.value.faults] == ["-:4:3: hosts.h1-[1:9999]: more than 10,000 hosts"]
    assert time.process_time() - start < 0.5, "writing the names out takes several seconds"
