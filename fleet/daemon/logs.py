"""The log of the daemon: JSON for the journal and for files, one readable line an event on a terminal."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TextIO

from fleet.daemon.log_fields import Line, as_frames, only_clean, only_constants
from fleet.daemon.log_writer import ROOM, LogWriter
from fleet.daemon.pass_log import PassLog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["Log", "PassLog", "configure", "configure_for"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""As syslog numbers them, and journald reads them at the begin of a line."""


class Log:
    """A log that is open: `logger` writes to it, and so do the libraries that use Python's own logging, from warnings on."""

    def __init__(self, logger: FilteringBoundLogger, writer: LogWriter) -> None:
        self.logger = logger
        self._writer = writer
        self._libraries = _Libraries(logger)
        logging.getLogger().addHandler(self._libraries)

    def tell_drops(self, dropped: Callable[[int], None]) -> None:
        """From now on `dropped` is told how many lines were lost, in whatever thread, one call at a time."""
        self._writer.tell_drops(dropped)

    def close(self, within: float = 1.0) -> bool:
        """Writes what is left, for so many seconds at most, and tells whether that was all. Lines after it are lost."""
        logging.getLogger().removeHandler(self._libraries)
        return self._writer.close(within)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def configure_for(
    stream: TextIO,
    environment: Mapping[str, str],
    level: str = "info",
    *,
    dropped: Callable[[int], None] = lambda _: None,
) -> Log:
    """The log as it fits where the stream leads: JSON under systemd and wherever no terminal is."""
    journal = _is_journal(stream, environment)
    terminal = stream.isatty() and "JOURNAL_STREAM" not in environment
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM", "") not in {"", "dumb"}
    return configure(stream, not terminal, level, colour=colour, priorities=journal, dropped=dropped)


def configure(
    stream: TextIO,
    json: bool,
    level: str = "info",
    *,
    colour: bool = False,
    priorities: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    dropped: Callable[[int], None] = lambda _: None,
    room: int = ROOM,
) -> Log:
    """Opens a log on the stream. `level` is the least that is written: `debug`, `info`, `warning`, `error`.

    `priorities` begins each line with its priority for journald; `dropped` is told of lines that found no room, which
    `Counters.log_dropped` counts. Nothing of structlog is set for the whole process.
    """
    import structlog  # noqa: PLC0415  # the daemon alone has a log

    def stamped(_logger: object, method: str, line: Line) -> Line:
        event = line.pop("event")
        return {"timestamp": clock().isoformat(timespec="milliseconds"), "level": method, "event": event, **line}

    render: Callable[[Any, str, Line], str | bytes] = (
        structlog.processors.JSONRenderer()
        if json
        # Errors are fields by then; its own way would show locals.
        else structlog.dev.ConsoleRenderer(
            colors=colour, sort_keys=False, pad_event_to=20, exception_formatter=structlog.dev.plain_traceback
        )
    )

    def finished(logger: object, method: str, line: Line) -> str:
        begin = f"<{_PRIORITIES.get(method, 6)}>" if priorities else ""
        return f"{begin}{render(logger, method, line)!s}"

    def missed(lines: int) -> str:
        return finished(None, "warning", stamped(None, "warning", {"event": "log.dropped", "lines": lines}))

    writer = LogWriter(stream, missed, dropped, room)
    logger = structlog.wrap_logger(
        _Lines(writer),
        processors=[only_constants, as_frames, only_clean, stamped, finished],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    return Log(logger, writer)


class _Lines:
    """What structlog hands finished lines to."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = write


class _Libraries(logging.Handler):
    """What libraries say by Python's own logging; unhandled errors of tasks come this way too."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        tell = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
        error = record.exc_info[1] if record.exc_info else None
        tell("library.said", library=record.name, message=_message(record), exc_info=error)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        return str(record.msg)


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd connected to the journal: `JOURNAL_STREAM` tells device and inode."""
    try:
        told = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{told.st_dev}:{told.st_ino}"
