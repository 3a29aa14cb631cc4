"""Which texts a manifest can carry, and where. Pure."""

from __future__ import annotations

import re

LARGEST = 512 << 10
"""Bytes of one text; a file that is read has at most twice as much."""

# What YAML files are not read with, whether raw or as an escape.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# A file's text is read as UTF-8 without its byte-order mark, and has no NUL.
_NO_FILE = re.compile(r"[\x00\ud800-\udfff]")


def inline(text: str) -> bool:
    """Whether it can stand in the manifest itself."""
    return not _CONTROL.search(text) and _small(text)


def in_a_file(text: str) -> bool:
    """Whether it can stand in a file that the manifest names."""
    return not _NO_FILE.search(text) and _small(text)


def _small(text: str) -> bool:
    return len(text) <= LARGEST and len(text.encode(errors="replace")) <= LARGEST
