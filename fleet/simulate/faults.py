"""The closed set of faults a scenario may ask for, what each is aimed at, and when it strikes.

What each does on the wire is in `fault_layer`; `docs/simulator.md` is the reference for people.
"""

from __future__ import annotations

import random
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fleet.simulate.calls import HOST_KINDS, REGISTRY_KINDS, Call, displayed
from fleet.simulate.units import Seconds, Size


class FaultKind(StrEnum):
    UNREACHABLE = "unreachable"
    SLOW = "slow"
    DRIP = "drip"
    SILENCE = "silence"
    STALL = "stall"
    TRICKLE = "trickle"
    CUT = "cut"
    CLEAN_END = "clean-end"
    LINGER = "linger"
    ERROR_LINE = "error-line"
    ERROR_THEN_SUCCESS = "error-then-success"
    STATUS = "status"
    FULL_DISK = "full-disk"
    MISSING_BLOB = "missing-blob"
    HTML = "html"
    WRONG_JSON = "wrong-json"
    HUGE = "huge"
    ESCAPES = "escapes"
    LIE_SUCCESS = "lie-success"
    EVICT = "evict"
    FORGET = "forget"
    RESTART_DURING = "restart-during"
    RESTART_BEFORE = "restart-before"
    LOST_ANSWER = "lost-answer"
    EARLY_SUCCESS = "early-success"
    RESET = "reset"
    CORRUPT = "corrupt"
    LOST_UPLOAD = "lost-upload"
    NO_REDIRECT = "no-redirect"
    NO_LENGTH = "no-length"
    DAMAGED = "damaged"


_EVERYWHERE = frozenset(
    {
        FaultKind.UNREACHABLE,
        FaultKind.SLOW,
        FaultKind.DRIP,
        FaultKind.SILENCE,
        FaultKind.CUT,
        FaultKind.STATUS,
        FaultKind.HTML,
        FaultKind.WRONG_JSON,
        FaultKind.HUGE,
    }
)
_REGISTRY_ONLY = frozenset({FaultKind.NO_REDIRECT, FaultKind.NO_LENGTH, FaultKind.DAMAGED})
REGISTRY_FAULTS = _EVERYWHERE | _REGISTRY_ONLY
HOST_FAULTS = frozenset(FaultKind) - _REGISTRY_ONLY

_PARAMETERS: dict[FaultKind, dict[str, Any]] = {
    FaultKind.SLOW: {"delay": 5.0},
    FaultKind.DRIP: {"interval": 0.1},
    FaultKind.SILENCE: {"headers": True},
    FaultKind.STALL: {"interval": 0.06, "part": 0.5},
    FaultKind.TRICKLE: {"interval": 1.0, "part": 0.5, "bytes": 1},
    FaultKind.CUT: {"lines": None, "bytes": None},
    FaultKind.CLEAN_END: {"lines": None},
    FaultKind.ERROR_LINE: {"message": "an error was encountered while running the operation", "lines": 1},
    FaultKind.ERROR_THEN_SUCCESS: {"message": "an error was encountered while running the operation", "lines": 1},
    FaultKind.STATUS: {"status": 503, "body": None, "retry_after": None, "location": None},
    FaultKind.WRONG_JSON: {"body": "[]"},
    FaultKind.HUGE: {"bytes": None},
    FaultKind.ESCAPES: {"text": "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202e"},
    FaultKind.RESTART_DURING: {"lines": 1},
    FaultKind.RESTART_BEFORE: {"idle": 0.0},
    FaultKind.FULL_DISK: {"bytes": 0},
    FaultKind.EARLY_SUCCESS: {"bytes": 0},
    FaultKind.RESET: {"bytes": 0},
    FaultKind.CORRUPT: {"byte": 0},
}
"""Which parameters a kind takes, and what they are if left out."""

_ONCE = frozenset({FaultKind.EVICT, FaultKind.FORGET, FaultKind.RESTART_DURING, FaultKind.RESTART_BEFORE})
"""Kinds that strike a single time unless `times` says otherwise."""


class Fault(BaseModel):
    """One fault: what happens, at which requests, how often."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    fault: Annotated[FaultKind, Field(strict=False)]
    endpoint: list[str] = Field(default_factory=list)
    """Kinds of request (`pull`, `tags`, `load`, …); none means all."""
    model: str | None = None
    """A glob over names in their short form with the tag."""
    times: int | None = Field(default=None, ge=1)
    after: int = Field(default=0, ge=0)
    chance: float = Field(default=1.0, ge=0, le=1)

    delay: Seconds | None = None
    interval: Seconds | None = None
    headers: bool | None = None
    part: float | None = Field(default=None, ge=0, le=1)
    bytes: Size | None = None
    byte: Size | None = None
    idle: Seconds | None = None
    lines: int | None = Field(default=None, ge=0)
    message: str | None = None
    status: int | None = Field(default=None, ge=300, le=599)
    body: str | None = None
    retry_after: str | None = None
    location: str | None = None
    text: str | None = None

    @field_validator("endpoint", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("retry_after", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: Any) -> Any:
        """Parameters of other kinds are refused, those left out get the kind's own defaults."""
        if not isinstance(value, dict) or value.get("fault") not in set(FaultKind):
            return value
        kind = FaultKind(value["fault"])
        own = _PARAMETERS.get(kind, {})
        foreign = sorted(_ALL_PARAMETERS & value.keys() - own.keys())
        if foreign:
            takes = ", ".join(f"`{name}`" for name in own) or "no parameters"
            raise ValueError(f"`{foreign[0]}` is no parameter of `{kind}`, which takes {takes}")
        return ({"times": 1} if kind in _ONCE else {}) | own | value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.fault is FaultKind.CUT and (self.lines is None) == (self.bytes is None):
            raise ValueError("`cut` needs either `lines` or `bytes`")
        unknown = [kind for kind in self.endpoint if kind not in HOST_KINDS | REGISTRY_KINDS]
        if unknown:
            raise ValueError(f"`{unknown[0]}` is no kind of request")
        if self.fault in {FaultKind.EVICT, FaultKind.FORGET} and self.model is None:
            raise ValueError(f"`{self.fault}` needs `model`")
        return self

    def aims_at(self, call: Call) -> bool:
        if self.endpoint and call.kind not in self.endpoint:
            return False
        if self.model is None or self.fault in {FaultKind.EVICT, FaultKind.FORGET}:
            return True
        return call.model is not None and matches(self.model, call.model)


_ALL_PARAMETERS = frozenset(name for own in _PARAMETERS.values() for name in own)


def matches(pattern: str, name: str) -> bool:
    """Whether a name in short form fits a glob; a glob without a tag fits every tag. Case is ignored."""
    pattern, name = pattern.lower(), displayed(name).lower()
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(":")[0], pattern)


class FaultSet:
    """The faults of one host or registry in order, with what each has seen. The first that strikes is taken."""

    def __init__(self, faults: list[Fault], seed: str) -> None:
        self._seed = seed
        self.replace(faults)

    def replace(self, faults: list[Fault]) -> None:
        """Puts other faults in place, counted from the start."""
        self._faults = faults
        self._seen = [0] * len(faults)
        self._struck = [0] * len(faults)
        self._chances = [random.Random(f"{self._seed}/{place}") for place in range(len(faults))]  # noqa: S311 - repeatable, no secret

    def strike(self, call: Call) -> Fault | None:
        """The fault that this request meets, if any."""
        for place, fault in enumerate(self._faults):
            if not fault.aims_at(call):
                continue
            self._seen[place] += 1
            spent = fault.times is not None and self._struck[place] >= fault.times
            if self._seen[place] <= fault.after or spent or self._chances[place].random() >= fault.chance:
                continue
            self._struck[place] += 1
            return fault
        return None

    def state(self) -> list[dict[str, Any]]:
        """Each fault as it stands in a scenario, with how many requests it saw and struck."""
        told = [fault.model_dump(mode="json", exclude_defaults=True) for fault in self._faults]
        return [
            {**fault, "seen": seen, "struck": struck}
            for fault, seen, struck in zip(told, self._seen, self._struck, strict=True)
        ]
