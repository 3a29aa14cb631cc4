"""Whether an answer is what a `check` wants of it. Pure: what a regular expression found is told by who searched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from fleet.foreign import clean
from fleet.manifest.item import Check
from fleet.quantities import show_duration

LONGEST = 64 << 10
"""Characters of an answer that are read; a model that goes on is left."""
SEARCH_WITHIN = 5.0
"""Seconds that a regular expression may take on one answer."""

_SAID = 120
_WANTED = 80


class Searched(StrEnum):
    """What came of searching an answer for a regular expression."""

    FOUND = "found"
    MISSING = "missing"
    TOO_SLOW = "too-slow"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one question."""

    text: str = ""
    cut: bool = False
    """It was left after `LONGEST`."""
    limited: bool = False
    """The model itself stopped at `num_predict`, or at the end of its context."""
    dimensions: int | None = None
    """Of the vector, where one was asked for and came."""


def judge(check: Check, answer: Answer, searched: Searched | None = None) -> str | None:
    """What is wrong with the answer, or nothing. `searched` is told where `check.expect` is given."""
    if check.embed is not None:
        return _of_vector(check, answer)
    if not answer.text.strip():
        return "answered nothing" + _stopped(answer)
    said = f"answered `{clean(answer.text, limit=_SAID)}`"
    if check.json and not _is_json(answer.text):
        return f"{said}, which is no JSON{_stopped(answer)}"
    wanted = f"`{clean(check.expect or '', limit=_WANTED)}`"
    if searched is Searched.MISSING:
        return f"{said}, in which {wanted} matches nothing{_stopped(answer)}"
    if searched is Searched.TOO_SLOW:
        return f"{said}, and looking for {wanted} in it took more than {show_duration(SEARCH_WITHIN)}"
    return None


def _of_vector(check: Check, answer: Answer) -> str | None:
    if not answer.dimensions:
        return "answered without a vector"
    if check.dimensions is not None and answer.dimensions != check.dimensions:
        return f"answered a vector of {answer.dimensions} dimensions, and {check.dimensions} are expected"
    return None


def _stopped(answer: Answer) -> str:
    if answer.cut:
        return f" (read as far as {LONGEST >> 10} KiB)"
    return " (the model stopped at the length that its options allow)" if answer.limited else ""


def _is_json(text: str) -> bool:
    try:
        # Numbers stay texts: Python refuses long ones that JSON allows.
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
