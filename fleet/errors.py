"""Errors that an operator can act on, and the exit codes they end in. Every other exception is a bug.

FleetError
├── UsageError            the command line
├── InputError            manifests, inventory, settings, plan files as written
├── GuardError            a guard refused; what it would have done is in the message
├── LockError             another run has the lock
└── HostError             what one host did or did not do: kept as a value while the others go on
    ├── HostUnreachable   no usable answer came; the next pass may succeed
    ├── HostAnswered      it answered, and the answer is a refusal or not Ollama's
    └── OutcomeUnknown    a changing call broke off: only a new look tells
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from fleet.codes import Code


class ExitCode(IntEnum):
    """`design.md` 10: one meaning each; the highest-ranked wins."""

    AS_DESIRED = 0
    COULD_NOT_RUN = 1
    CHANGES_PENDING = 2
    PARTIAL = 3
    INPUT_WRONG = 4
    LOCKED = 5
    REFUSED = 6
    UNOBSERVED = 7
    USAGE = 64
    INTERRUPTED = 130
    TERMINATED = 143


_RANKED = (
    ExitCode.USAGE,
    ExitCode.COULD_NOT_RUN,
    ExitCode.INPUT_WRONG,
    ExitCode.REFUSED,
    ExitCode.LOCKED,
    ExitCode.TERMINATED,
    ExitCode.INTERRUPTED,
    ExitCode.PARTIAL,
    ExitCode.UNOBSERVED,
    ExitCode.CHANGES_PENDING,
    ExitCode.AS_DESIRED,
)


def highest_ranked(codes: Iterable[ExitCode]) -> ExitCode:
    """The one exit code of several outcomes; 0 of none."""
    return min(codes, key=_RANKED.index, default=ExitCode.AS_DESIRED)


class FleetError(Exception):
    """Anything an operator can act on: what and where in the message, what next in `hint`, why in `code`."""

    exit_code = ExitCode.COULD_NOT_RUN

    def __init__(self, message: str, *, code: Code, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class UsageError(FleetError):
    """The command line is wrong."""

    exit_code = ExitCode.USAGE


class InputError(FleetError):
    """Manifests, settings or a plan file are wrong as written; trying again will not help."""

    exit_code = ExitCode.INPUT_WRONG


class GuardError(FleetError):
    """A guard refused; the message says what would have been done, the hint how to allow it."""

    exit_code = ExitCode.REFUSED


class LockError(FleetError):
    """Another run holds the lock."""

    exit_code = ExitCode.LOCKED


class HostError(FleetError):
    """What one host did or did not do. `told` is the server's own words, cleaned, or nothing."""

    exit_code = ExitCode.PARTIAL

    def __init__(self, message: str, *, code: Code, hint: str | None = None, told: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
        self.told = told


class HostUnreachable(HostError):
    """No usable answer arrived in time; the next pass may succeed."""


class HostAnswered(HostError):
    """The host answered: `status` is the HTTP status (200 for an error line in a stream)."""

    def __init__(
        self, message: str, *, code: Code, status: int, hint: str | None = None, told: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint, told=told)
        self.status = status


class OutcomeUnknown(HostError):
    """A changing call broke off, stalled or fell silent: observe again before anything else."""
