"""Bandwidths: bits and bytes are told apart."""

from __future__ import annotations

import pytest

from fleet.quantities import InvalidQuantity
from fleet.reconcile.rehearsing.bandwidth import bandwidth


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("1Gbit", 125e6),
        ("100Mbit/s", 12.5e6),
        ("2.5 Gbps", 312.5e6),
        ("64kbit", 8000),
        ("100MB", 100e6),
        ("1MiB/s", 1 << 20),
    ],
)
def test_in_bytes_per_second(text: str, bytes_per_second: float) -> None:
    assert bandwidth(text) == bytes_per_second


@pytest.mark.parametrize("text", ["", "1", "1Gb", "fast", "-1Gbit", "0Gbit", "0.1bit", "9999999Tbit", "1Gbit/h"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="is no bandwidth"):
        bandwidth(text)
