"""The lines of the lock file: which content each pulled model stood for when a person accepted it. Pure.

One line a model, sorted, so that a review shows what changed and two branches rarely collide. Only `fleet lock` writes
it: what a person wrote would be lost at the next run, so that it is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from fleet.foreign import clean
from fleet.names import Digest, InvalidName, ModelName

FORMAT = 1
_HEAD = f"# fleet lock file, format {FORMAT}\n"
_ABOUT = """\
# Written by `fleet lock`; read what changed, then commit it. Each line has a model, its digest as the registry serves it,
# its digest as servers before 0.19.0 list it, its bytes, and the day on which it was accepted.
"""
_FIRST = re.compile(r"# fleet lock file, format ([0-9]{1,6})\Z")
_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
_MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Locked:
    """One model of the lock file."""

    name: ModelName
    """As declared, whatever it is pulled under."""
    raw: Digest
    """Of its image manifest as the registry served it."""
    normalised: Digest
    """The same as servers before 0.19.0 list it (`ollama-api.md` 4.2)."""
    size: int
    """Bytes, as listings of hosts count them."""
    date: date
    """When it was accepted."""

    @property
    def digests(self) -> frozenset[Digest]:
        """All forms in which a host may list it."""
        return frozenset({self.raw, self.normalised})

    def __str__(self) -> str:
        """Its line."""
        return f"{self.name} {self.raw} {self.normalised} {self.size} {self.date.isoformat()}"


def lock_text(models: Iterable[Locked]) -> str:
    """The whole file. Equal models give equal bytes, in whatever order they come."""
    lines = [f"{model}\n" for model in sorted(models, key=lambda model: model.name)]
    return _HEAD + _ABOUT + "".join(lines)


def parse_lock(text: str) -> tuple[dict[ModelName, Locked], list[tuple[int, str]]]:
    """The models by name, and every fault with its line."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    first = _FIRST.match(lines[0])
    if first is None:
        return {}, [(1, f"no lock file of fleet begins like this: {_quoted(lines[0])}")]
    if int(first[1]) != FORMAT:
        return {}, [(1, f"format {first[1]} is of another version of fleet; this one reads format {FORMAT}")]
    found: dict[ModelName, tuple[int, Locked]] = {}
    faults: list[tuple[int, str]] = []
    about = set(_ABOUT.splitlines())
    for number, line in enumerate(lines[1:], start=2):
        if not line or line in about:
            continue
        try:
            model = _line(line)
            before = found.setdefault(model.name, (number, model))
            if before[0] != number:
                raise ValueError(f"`{model.name}` is on line {before[0]} already")
        except ValueError as fault:
            faults.append((number, str(fault)))
            if len(faults) == _MOST_FAULTS:
                break
    return {name: model for name, (_, model) in found.items()}, faults


def _line(line: str) -> Locked:
    """One model. Raises `ValueError` with what is wrong with the line."""
    if line.startswith(_CONFLICT):
        raise ValueError("a mark of a merge conflict: keep one side, or run `fleet lock` on either")
    if line.startswith("#"):
        raise ValueError("a comment is lost when `fleet lock` writes the file; the manifest is the place for it")
    fields = line.split(" ")
    if len(fields) != 5:
        raise ValueError(f"a line has five fields, each after one space, and this one has {len(fields)}")
    name, raw, normalised, size, day = fields
    try:
        model = ModelName.parse(name)
    except InvalidName as fault:
        raise ValueError(clean(str(fault), limit=300)) from fault
    if str(model) != name:
        raise ValueError(f"{_quoted(name)} is written as `{model}`")
    for digest in (raw, normalised):
        if not digest.startswith("sha256:"):
            raise ValueError(f"{_quoted(digest)} is no digest (`sha256:` and 64 lower-case hex digits)")
    if not _SIZE.match(size):
        raise ValueError(f"{_quoted(size)} is no number of bytes")
    return Locked(model, Digest.parse(raw), Digest.parse(normalised), int(size), _day(day))


def _day(text: str) -> date:
    if _DATE.match(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise ValueError(f"{_quoted(text)} is no date (`2026-01-31`)")


def _quoted(text: str) -> str:
    return f"`{clean(text, limit=80)}`"
