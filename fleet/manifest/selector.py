"""Selectors over hosts: kubectl's grammar over labels, `name`, `group` and what a host can hold.

`env=prod,site in (tokyo,osaka),!spare,vram>=80GB`: all must hold. As in kubectl, `!=` and `notin` also match hosts
that have no such label. A selector is parsed once and is a value from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from fleet.manifest.faults import Misread, nearest, quoted
from fleet.manifest.glob import compiled
from fleet.manifest.inventory import Capacity
from fleet.quantities import InvalidQuantity, size

AMOUNTS = ("disk", "vram", "loaded")
LONGEST = 2000
RESERVED_KEYS = ("name", "group", *AMOUNTS)
"""Keys that are no labels."""

_TOKEN = re.compile(r"\s*(?:(?P<op>==|!=|>=|<=|[=<>!(),])|(?P<word>[^\s=<>!(),]+))")
_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,251}[A-Za-z0-9])?\Z")
_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")
_NAME_GLOB = re.compile(r"[A-Za-z0-9_.*?-]{1,253}\Z")


class Demand(StrEnum):
    """What a requirement asks of its key."""

    EXISTS = "exists"
    MISSING = "missing"
    IN = "in"
    NOT_IN = "notin"
    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"


class Selectable(Protocol):
    """What a selector looks at."""

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str | None: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def capacity(self) -> Capacity: ...


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part between commas. `values` are texts, or for an amount the one number as text of `amount`."""

    key: str
    demand: Demand
    values: tuple[str, ...] = ()
    amount: int = 0

    def holds(self, host: Selectable) -> bool:
        if self.key in AMOUNTS:
            stated: int | None = getattr(host.capacity, self.key)
            return self._measured(stated)
        if self.key == "name":
            value: str | None = host.name
        elif self.key == "group":
            value = host.group
        else:
            value = host.labels.get(self.key)
        if self.demand is Demand.EXISTS:
            return value is not None
        if self.demand is Demand.MISSING:
            return value is None
        return (value is not None and self._listed(value)) == (self.demand is Demand.IN)

    def _listed(self, value: str) -> bool:
        if self.key == "name":
            return any(compiled(one).match(value) for one in self.values)
        return value in self.values

    def _measured(self, stated: int | None) -> bool:
        match self.demand:
            case Demand.EXISTS:
                return stated is not None
            case Demand.MISSING:
                return stated is None
            case Demand.IN:
                return stated == self.amount
            case Demand.NOT_IN:
                return stated != self.amount
            case Demand.AT_LEAST:
                return stated is not None and stated >= self.amount
            case Demand.AT_MOST:
                return stated is not None and stated <= self.amount
            case Demand.ABOVE:
                return stated is not None and stated > self.amount
            case Demand.BELOW:
                return stated is not None and stated < self.amount


@dataclass(frozen=True, slots=True)
class Selector:
    """Hosts for which every requirement holds. `text` is how it was written."""

    text: str = field(compare=False)
    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Raises `Misread` with the offset of the spot."""
        if len(text) > LONGEST:
            raise Misread(f"a selector of more than {LONGEST:,} characters")
        return cls(text.strip(), tuple(_Parser(text).requirements()))

    def matches(self, host: Selectable) -> bool:
        return all(requirement.holds(host) for requirement in self.requirements)

    def keys(self) -> frozenset[str]:
        """The keys it asks for, labels and others."""
        return frozenset(requirement.key for requirement in self.requirements)


class _Parser:
    """The grammar, one method a rule; `ahead` is the next token, empty at the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = 0
        self.at = 0
        self.word = False
        self.ahead = ""
        self.advance()

    def advance(self) -> str:
        """Goes to the next token and gives the one before."""
        before = self.ahead
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            self.ahead, self.word, self.at = "", False, len(self.text.rstrip())
            self.end = len(self.text)
        else:
            self.word = match["word"] is not None
            self.ahead = match["word"] or match["op"]
            self.at, self.end = match.start("word" if self.word else "op"), match.end()
        return before

    def fail(self, text: str, hint: str | None = None) -> Misread:
        return Misread(text, hint=hint, offset=self.at)

    def requirements(self) -> list[Requirement]:
        if not self.ahead:
            raise Misread("an empty selector", hint="leave it out to take all hosts")
        found = [self.requirement()]
        while self.ahead:
            if self.ahead != ",":
                raise self.fail(f"wants a comma, not {quoted(self.ahead)}")
            self.advance()
            found.append(self.requirement())
        return found

    def requirement(self) -> Requirement:
        if self.ahead == "!":
            self.advance()
            return Requirement(self.key(), Demand.MISSING)
        key = self.key()
        if self.ahead in {"=", "==", "!="}:
            demand = Demand.NOT_IN if self.advance() == "!=" else Demand.IN
            if key in AMOUNTS:
                return Requirement(key, demand, amount=self.amount(key))
            empty = not self.ahead or self.ahead == ","
            return Requirement(key, demand, ("",) if empty and key not in RESERVED_KEYS else (self.value(key),))
        if self.ahead in {">=", "<=", ">", "<"}:
            if key not in AMOUNTS:
                raise self.fail(
                    f"`{self.ahead}` compares only {', '.join(AMOUNTS[:-1])} and {AMOUNTS[-1]}, not {quoted(key)}"
                )
            demand = Demand(self.advance())
            return Requirement(key, demand, amount=self.amount(key))
        if self.ahead in {"in", "notin"} and self.word:
            if key in AMOUNTS:
                raise self.fail(f"`{key}` is compared by `>=`, not by `{self.ahead}`")
            return Requirement(key, Demand(self.advance()), self.values(key))
        return Requirement(key, Demand.EXISTS)

    def key(self) -> str:
        if not self.word:
            there = quoted(self.ahead) if self.ahead else "the end"
            raise self.fail(f"wants a label or other key, not {there}")
        if not _KEY.match(self.ahead):
            raise self.fail(f"{quoted(self.ahead)} is no label")
        return self.advance()

    def values(self, key: str) -> tuple[str, ...]:
        if self.ahead != "(":
            raise self.fail("wants values between `(` and `)`")
        self.advance()
        found = [self.value(key)]
        while self.ahead == ",":
            self.advance()
            found.append(self.value(key))
        if self.ahead != ")":
            raise self.fail("the `)` is missing")
        self.advance()
        return tuple(sorted(set(found)))

    def value(self, key: str) -> str:
        if not self.word:
            raise self.fail("wants a value")
        if key == "name" and not _NAME_GLOB.match(self.ahead):
            raise self.fail(f"{quoted(self.ahead)} is no host name or glob")
        if key != "name" and not _VALUE.match(self.ahead):
            hint = "globs match in `name` only" if "*" in self.ahead or "?" in self.ahead else None
            raise self.fail(f"{quoted(self.ahead)} is no label value", hint)
        return self.advance()

    def amount(self, key: str) -> int:
        if not self.word:
            raise self.fail("wants a number" if key == "loaded" else "wants a size, as `80GB`")
        if key == "loaded":
            if not (self.ahead.isascii() and self.ahead.isdigit() and len(self.ahead) <= 9):
                raise self.fail(f"{quoted(self.ahead)} is no number of models")
            return int(self.advance())
        try:
            if len(self.ahead) > 30:
                raise InvalidQuantity(f"{quoted(self.ahead)} is no size")
            amount = size(self.ahead)
        except InvalidQuantity as error:
            raise self.fail(str(error)) from None
        self.advance()
        return amount


def nearest_key(selector: Selector, labels: frozenset[str]) -> str | None:
    """The hint for a selector that matches nothing, where one of its keys is no label of any host."""
    for key in sorted(selector.keys() - set(RESERVED_KEYS) - labels):
        found = nearest(key, labels)
        return f"no host has a label `{key}`; {found}" if found else f"no host has a label `{key}`"
    return None
