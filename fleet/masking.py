"""Secrets that are in use, kept out of whatever is shown: a host may say what it was sent, as error pages for developers do.

The one thing in fleet that all parts of the process share, since a secret must not come out by any of them. It holds
pieces of six characters, never a whole secret.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, OrderedDict
from collections.abc import Iterator
from urllib.parse import quote

SHOWN = "[hidden]"
"""Stands for each run of characters that a secret has too."""
PIECE = 6
"""Characters in a row that are hidden; what is shorter tells nothing of a secret, and is in every text."""
_SHORTEST = 8
"""Bytes of a secret that is hidden."""
_MOST = 4096
"""Secrets of which pieces are kept: the ones used last, as tokens come and go for as long as a daemon runs."""

_secrets: OrderedDict[int, frozenset[str]] = OrderedDict()
_pieces: Counter[str] = Counter()


def hide(secret: bytes) -> None:
    """From now on no `masked` text has six characters in a row of it, plain, in base64 or percent-encoded. What is
    shorter than any secret that keeps somebody out is as often a word, and is left to be shown.
    """
    if len(secret) < _SHORTEST:
        return
    key = hash(secret)
    if key in _secrets:
        _secrets.move_to_end(key)
        return
    pieces = frozenset(piece for form in _forms(secret) for piece in _cut(form))
    _secrets[key] = pieces
    _pieces.update(pieces)
    if len(_secrets) > _MOST:
        _, gone = _secrets.popitem(last=False)
        _pieces.subtract(gone)
        for piece in gone:
            if not _pieces[piece]:
                del _pieces[piece]


def masked(text: str) -> str:
    """The text without what secrets have in common with it."""
    if not _pieces:
        return text
    parts: list[str] = []
    end = 0
    """Where the last hidden run ended."""
    for begin in range(len(text) - PIECE + 1):
        if text[begin : begin + PIECE] in _pieces:
            if begin > end or not parts:
                parts += [text[end:begin], SHOWN]
            end = begin + PIECE
    return "".join([*parts, text[end:]])


def _forms(secret: bytes) -> Iterator[str]:
    """What it looks like, in itself and within something longer."""
    text = secret.decode("utf-8", "replace")
    yield text
    yield secret.decode("latin-1")
    yield json.dumps(text)[1:-1]
    yield quote(secret, safe="")
    for before in range(3):
        # Its first and last character also depend on what stands beside it.
        long = base64.b64encode(bytes(before) + secret).rstrip(b"=").decode()
        inside = long[(0, 2, 3)[before] : len(long) - ((before + len(secret)) % 3 > 0)]
        yield inside
        yield inside.replace("+", "-").replace("/", "_")


def _cut(form: str) -> Iterator[str]:
    for begin in range(len(form) - PIECE + 1):
        yield form[begin : begin + PIECE]
