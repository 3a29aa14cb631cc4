"""One thing that a person should know, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fleet.codes import Code
from fleet.names import HostName


class Severity(StrEnum):
    """How urgent, the worst first. Notes alone leave a fleet in good health."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


class About(StrEnum):
    """What a finding is about, in the order in which findings are told."""

    REACHABILITY = "reachability"
    STATE = "state"
    CREDENTIAL = "credential"
    ENVIRONMENT = "environment"
    EXPOSURE = "exposure"
    CERTIFICATE = "certificate"
    CLOCK = "clock"
    VERSION = "version"
    ADVISORY = "advisory"
    HAZARD = "hazard"
    MODEL = "model"
    NAME = "name"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` and `do` may hold words of hosts; who shows them cleans them."""

    severity: Severity
    about: About
    what: str
    do: str
    host: HostName | None = None
    """Nothing for what is about this machine or the whole fleet."""
    code: Code | None = None
    """Of the failure that this is or leads to."""
    advisory: str | None = None


_SEVERITIES = tuple(Severity)
_ABOUT = tuple(About)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by what they are about, text and host; each once."""
    return tuple(
        sorted(
            dict.fromkeys(findings),
            key=lambda each: (
                _SEVERITIES.index(each.severity),
                _ABOUT.index(each.about),
                each.what,
                each.host or "",
            ),
        )
    )


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether there is nothing to be done now. A certificate that is about to end still holds."""
    return all(each.severity is Severity.NOTE or each.about is About.CERTIFICATE for each in findings)
