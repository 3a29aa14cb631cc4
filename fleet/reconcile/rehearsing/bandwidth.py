"""Bandwidths as people write them: bits as of lines, bytes as of downloads, in each second."""

from __future__ import annotations

import re

from fleet.foreign import clean
from fleet.quantities import InvalidQuantity, size

_BITS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([kKMGT]?)(?:bit|bps)\Z")
_THOUSANDS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def bandwidth(text: str) -> float:
    """Bytes per second of `1Gbit`, `100Mbit/s`, `100MB` or `12.5MiB/s`. Raises `InvalidQuantity`."""
    plain = text.removesuffix("/s")
    if plain.endswith("b"):
        # `1Gb` is a gigabit to some and a gigabyte to others.
        raise InvalidQuantity(f"`{clean(text, 80)}` is no bandwidth: write `bit` or `B` (`1Gbit`, `100MB`)")
    match = _BITS.match(plain)
    try:
        found = float(match[1]) * _THOUSANDS[match[2]] / 8 if match else float(size(plain))
    except InvalidQuantity:
        raise InvalidQuantity(f"`{clean(text, 80)}` is no bandwidth (`1Gbit`, `100MB`)") from None
    if not 1 <= found <= 1e15:
        raise InvalidQuantity(f"`{clean(text, 80)}` is no bandwidth that a line has (`1Gbit`, `100MB`)")
    return found
