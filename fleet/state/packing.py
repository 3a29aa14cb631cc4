"""Long texts deflated, and back with a limit: what a damaged or foreign file holds must not fill the memory."""

from __future__ import annotations

import zlib

LONGEST = 64 << 20
"""Bytes of a text, in UTF-8."""


def packed(text: str, most: int, longest: int = LONGEST) -> bytes | None:
    """At most `most` bytes; nothing where the text is too long for that, or longer than `longest` bytes itself."""
    raw = text.encode(errors="replace")
    if len(raw) > longest:
        return None
    small = zlib.compress(raw)
    return small if len(small) <= most else None


def unpacked(raw: object, longest: int = LONGEST) -> str:
    """Raises `ValueError` for what `packed` never made."""
    if not isinstance(raw, bytes):
        raise ValueError("a packed text is none")  # noqa: TRY004  # one error for all that is not as it was written
    opened = zlib.decompressobj()
    try:
        text = opened.decompress(raw, longest)
    except zlib.error as error:
        raise ValueError(f"a packed text cannot be unpacked: {error}") from error
    if not opened.eof:
        raise ValueError("a packed text has no end, or is too long")
    return text.decode()
