"""Finds what is left of secrets in anything: plain, encoded, and in parts. Written without a look at how fleet hides them."""

from __future__ import annotations

import base64
import sqlite3
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

PART = 6
"""Characters in a row that must not come out."""


class Secrets:
    """By name. Each is random, so that what is found of it is from nowhere else."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._parts: dict[bytes, str] = {}
        for name, secret in secrets.items():
            for form in _forms(secret.encode()):
                for start in range(len(form) - PART + 1):
                    self._parts[form[start : start + PART]] = name

    def found(self, told: bytes) -> set[str]:
        """Names of the secrets of which there are `PART` bytes in a row."""
        parts = self._parts
        return {parts[told[at : at + PART]] for at in range(len(told) - PART + 1) if told[at : at + PART] in parts}


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield urllib.parse.quote(secret, safe="").encode()
    yield urllib.parse.quote_plus(secret).encode()
    for lead in (b"", b"u", b"us"):
        # Long enough on both sides that all but the outermost characters are the secret's own.
        coded = base64.b64encode(lead + secret)
        inner = coded.rstrip(b"=")[{0: 0, 1: 2, 2: 3}[len(lead)] : -1]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def contents(folder: Path, without: frozenset[Path]) -> Iterator[tuple[Path, bytes]]:
    """All regular files below, but those that hold the secrets themselves; databases also row by row, unpacked."""
    for path in sorted(folder.rglob("*")):
        if path in without or not path.is_file():
            continue
        raw = path.read_bytes()
        yield path, raw
        if raw.startswith(b"SQLite format 3\0"):
            yield path, b"\n".join(_cells(path))


def _cells(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                for cell in row:
                    yield from _told(cell)


def _told(cell: object) -> Iterator[bytes]:
    if isinstance(cell, bytes):
        yield cell
        try:
            yield zlib.decompress(cell)
        except zlib.error:
            return
    elif cell is not None:
        yield str(cell).encode(errors="surrogatepass")
