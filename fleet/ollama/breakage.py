"""Words and codes for connections that fail, whoever opened them. Pure."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator

from fleet.codes import Code
from fleet.foreign import clean

_NO_DISTRUST = (
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
)
"""What TLS raises when it waits or the connection ends: the context of nearly every failure on such a connection."""


_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_NO_THREAD = "can't start new thread"
"""What the interpreter says; it has no class of its own for that."""


def by_cause(error: BaseException) -> tuple[Code, str] | None:
    """What the first telling cause of a failure amounts to: names that cannot be looked up, TLS, and this machine."""
    lacking = no_room(error)
    if lacking is not None:
        return Code.NO_ROOM_HERE, f"this machine has no room for it ({lacking})"
    for cause in causes(error):
        match cause:
            case socket.gaierror():
                return Code.NAME_NOT_RESOLVED, f"the name could not be looked up ({plain(cause)})"
            case ssl.SSLError() if not isinstance(cause, _NO_DISTRUST):
                return Code.TLS_FAILED, f"the TLS connection failed ({_reason(cause)})"
            case UnicodeError():
                return Code.NAME_NOT_RESOLVED, "the name is none that can be looked up"
    return None


def no_room(error: BaseException) -> str | None:
    """What this machine lacks, where a failure came of that: files, memory or threads. It is no failure of the host."""
    for cause in causes(error):
        match cause:
            case OSError(errno=number) if number in _NO_ROOM:
                return os.strerror(number)
            case MemoryError():
                return "no more memory"
            case RuntimeError() if _NO_THREAD in str(cause):
                return "no more threads"
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and the members of groups; each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]


def plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0 and not isinstance(error, ssl.SSLError):
        # asyncio words its own text around the address, which the message has anyway.
        return os.strerror(error.errno) if not isinstance(error, socket.gaierror) else str(error.strerror)
    return clean(str(error) or type(error).__name__, limit=200)


def _reason(error: ssl.SSLError) -> str:
    told = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return clean(str(told or error), limit=200)
