"""Host ranges and templates: `tyo-[01:16]` is sixteen names, `https://{name}.lan` one address for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from string import ascii_letters

from fleet.manifest.faults import Misread, nearest, quoted

MOST_HOSTS = 10_000
"""In one inventory, ranges written out."""

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BOUNDS = re.compile(r"(?:([0-9]{1,9}):([0-9]{1,9})|([A-Za-z]):([A-Za-z]))(?::([1-9][0-9]{0,4}))?\Z")
_Choice = tuple[range, Callable[[int], str]]
"""Numbers, and how each is spelled."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def expand(text: str) -> list[str]:
    """The names of a range as Ansible reads it, both ends included: `[1:3]`, `[01:16]`, `[a:c]`, `[0:8:2]`.

    Several ranges in one name multiply; a name without one is itself. Raises `Misread`.
    """
    return ["".join(parts) for parts in product(*([spell(one) for one in those] for those, spell in _choices(text)))]


def extent(text: str) -> tuple[int, str]:
    """How many names `expand` would give, and the last of them, which is the longest; makes no other. Raises `Misread`."""
    choices = _choices(text)
    return prod(len(those) for those, _ in choices), "".join(spell(those[-1]) for those, spell in choices)


def _choices(text: str) -> list[_Choice]:
    pieces = _RANGE.split(text)
    choices = [_word(piece) if number % 2 == 0 else _choice(piece, text) for number, piece in enumerate(pieces)]
    if (total := prod(len(those) for those, _ in choices)) > MOST_HOSTS:
        raise Misread(f"{quoted(text)} makes {total:,} hosts, more than {MOST_HOSTS:,}")
    return choices


def _word(piece: str) -> _Choice:
    return range(1), lambda _: piece


def _choice(bounds: str, text: str) -> _Choice:
    match = _BOUNDS.match(bounds)
    if not match:
        raise Misread(
            f"{quoted(text)}: `[{bounds[:40]}]` is no range", hint="write it as `[1:8]`, `[01:16]` or `[a:d]`"
        )
    first, last, start, end, step = match.groups()
    every = int(step or 1)
    if start:
        low, high = ascii_letters.index(start), ascii_letters.index(end)
        if low > high or start.islower() != end.islower():
            raise Misread(f"{quoted(text)}: `[{bounds}]` runs backwards")
        return range(low, high + 1, every), ascii_letters.__getitem__
    padded = first.startswith("0") and len(first) > 1
    if padded and len(first) != len(last):
        raise Misread(f"{quoted(text)}: both ends of `[{bounds}]` need the same number of digits")
    if int(first) > int(last):
        raise Misread(f"{quoted(text)}: `[{bounds}]` runs backwards")
    if (int(last) - int(first)) // every >= MOST_HOSTS:
        raise Misread(f"{quoted(text)} makes more than {MOST_HOSTS:,} hosts")
    width = len(first) if padded else 0
    return range(int(first), int(last) + 1, every), lambda number: str(number).zfill(width)


def placeholders(template: str) -> list[str]:
    """The keys between braces. Raises `Misread` for a brace that belongs to none."""
    keys = _PLACEHOLDER.findall(template)
    if "{" in (rest := _PLACEHOLDER.sub("", template)) or "}" in rest or "" in keys:
        raise Misread(f"{quoted(template)}: a brace without its other one", hint="write `{name}` or `{LABEL}`")
    return keys


def filled_with(template: str, word: str) -> str:
    """The template with this word for every key, to see what may come of it. Raises `Misread` as `placeholders` does."""
    placeholders(template)
    return _PLACEHOLDER.sub(lambda _: word, template)


def fill(template: str, known: Mapping[str, str]) -> str:
    """The template with each key replaced. Raises `Misread` where one is not known."""
    if "{" not in template and "}" not in template:
        return template
    for key in placeholders(template):
        if key not in known:
            raise Misread(f"{quoted(template)}: there is no `{key}` here", hint=nearest(key, known))
    return _PLACEHOLDER.sub(lambda match: known[match[1]], template)
