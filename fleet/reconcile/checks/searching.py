"""Searches an answer for a regular expression, in a process of its own that can be ended.

A pattern like `(a+)+$` can take longer than the universe lasts on sixty letters, and nothing inside a process stops
Python's matcher while it holds the interpreter: the whole fleet would stand still for one line of a manifest.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from fleet.reconcile.checks.judging import SEARCH_WITHIN, Searched

_PROGRAM = (
    "import json, re, sys\n"
    "asked = json.load(sys.stdin)\n"
    "sys.exit(0 if re.search(asked['pattern'], asked['text']) else 10)\n"
)
_FOUND, _MISSING = 0, 10


async def search(pattern: str, text: str, within: float = SEARCH_WITHIN) -> Searched:
    """Whether the pattern is found anywhere in the text, looked for during at most so many seconds.

    Raises `ValueError` for a pattern that is none; manifests with such a one are refused when they are read.
    """
    return await asyncio.to_thread(_search, pattern, text, within)


def _search(pattern: str, text: str, within: float) -> Searched:
    asked = json.dumps({"pattern": pattern, "text": text}).encode()
    try:
        # Isolated and without site packages: it starts in a hundredth of a second, and sees nothing of ours.
        ended = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            input=asked,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=within,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired:
        return Searched.TOO_SLOW
    if ended.returncode not in {_FOUND, _MISSING}:
        raise ValueError(ended.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    return Searched.FOUND if ended.returncode == _FOUND else Searched.MISSING
