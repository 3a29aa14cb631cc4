"""What may stand in a line of the log: constants as events, and everything else as fields that are cleaned and cut.

Texts from servers, manifests and repositories can hold terminal escapes, line ends and whole megabytes; a traceback can hold
a token in a local variable (`reliability.md` A.5). None of that gets through here, whoever calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from itertools import islice
from math import isfinite
from pathlib import PurePath
from types import TracebackType
from typing import Any

from fleet.foreign import clean

_EVENT = re.compile(r"[a-z]+(?:[.-][a-z]+)*\Z")
_MOST = 20
"""Elements of a list, and frames of a traceback."""
_CHAIN = 4
"""Errors that one error is told to come from."""

Line = MutableMapping[str, Any]


def only_constants(_logger: object, _method: str, line: Line) -> Line:
    """An event that is no constant becomes a field, so that nobody can forge one."""
    event = line.get("event")
    if not isinstance(event, str) or not _EVENT.match(event):
        line["event"] = "message"
        line["message"] = event
    return line


def only_clean(_logger: object, _method: str, line: Line) -> Line:
    """Values that any reader can show: numbers, short single lines, and short lists and maps of them."""
    for key, value in line.items():
        line[key] = _clean(value)
    return line


def as_frames(_logger: object, _method: str, line: Line) -> Line:
    """An exception as its message and the places it came through: no locals, no lines of source."""
    given = line.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        line["raised"] = [*islice(_told(given), _MOST)]
    return line


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {clean(str(key), 80): _clean(each) for key, each in islice(value.items(), _MOST)}
    if isinstance(value, list | tuple | set | frozenset):
        more = [f"… and {len(value) - _MOST} more"] if len(value) > _MOST else []
        return [*(_clean(each) for each in islice(value, _MOST)), *more]
    try:
        return clean(str(value))
    except Exception:  # a line must not end what it tells of
        return type(value).__name__


def _told(error: BaseException, deep: int = 0) -> Iterator[str]:
    """The error, where it was raised (innermost first), then what it came from."""
    yield f"{type(error).__name__}: {_clean(error)}"
    frames = [*_frames(error.__traceback__)]
    yield from reversed(frames[-(_MOST // 2) :])
    if deep == _CHAIN:
        return
    if isinstance(error, BaseExceptionGroup):
        for each in islice(error.exceptions, _CHAIN):
            yield from _told(each, deep + 1)
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _told(before, deep + 1)


def _frames(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f"{'/'.join(PurePath(code.co_filename).parts[-3:])}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
