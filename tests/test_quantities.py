"""Durations, sizes and shares: what is read, what is refused, and that showing loses nothing that matters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.quantities import InvalidQuantity, duration, exact_size, share, show_duration, show_size, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0s", 0), ("90s", 90), ("1h30m", 5400), ("500ms", 0.5), ("1.5h", 5400), (".5s", 0.5), ("2us", 2e-6)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "-5s", "s", "1d", "1 h", "1h ", "h1", "1.2.3s", "٣s", "infs", "1e3s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="is no duration"):
        duration(text)


def test_a_bare_number_is_told_its_units() -> None:
    with pytest.raises(InvalidQuantity, match="such as `5s` or `5m`"):
        duration("5")


@given(st.integers(0, 10**9))
def test_shown_durations_read_back(milliseconds: int) -> None:
    assert duration(show_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.25, "250ms"), (5, "5s"), (90, "1m30s"), (120, "2m"), (3600, "1h"), (3661.5, "1h1m1.5s")],
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("80GB", 80 * 10**9),
        ("80GiB", 80 << 30),
        ("1.5TiB", 3 << 39),
        ("512KiB", 1 << 19),
        ("5 MB", 5_000_000),
        ("7B", 7),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "80", "GB", "-1GB", "1GBs", "1e3GB", "1.GB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="is no size"):
        size(text)


@given(st.integers(0, 1 << 50))
def test_exact_sizes_read_back(count: int) -> None:
    assert size(exact_size(count)) == count


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (999_499, "999 KB"), (999_999, "1.0 MB"),
        (4_661_224_676, "4.7 GB"), (99_960_000, "100 MB"), (10**15, "1000 TB"),
    ],
)  # fmt: skip
def test_sizes_for_people(count: int, shown: str) -> None:
    assert show_size(count) == shown


@pytest.mark.parametrize(
    ("text", "of", "allowed"), [("0", 10, 0), ("3", 2, 3), ("10%", 25, 2), ("100%", 7, 7), ("50%", 1, 0)]
)
def test_shares(text: str, of: int, allowed: int) -> None:
    assert share(text, of) == allowed


@pytest.mark.parametrize("text", ["", "-1", "101%", "1.5", "%", "ten", "5 %"])
def test_no_shares(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="neither a number nor a percentage"):
        share(text, 10)
