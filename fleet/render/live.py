"""Progress on a terminal, drawn by rich: imported only where there is one."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from fleet.reconcile.progress import Event
from fleet.render.board import Board
from fleet.render.events import Clock

_ROWS = 24
"""At most, so that a large terminal does not become a wall of bars."""


class _Forgiving:
    """A stream whose writing never fails: a terminal that went away must not break the work off."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Screen:
    """A listener and a context manager: within it the lower lines of the terminal are redrawn four times a second."""

    def __init__(self, stream: TextIO, clock: Clock, *, steps: int, colour: bool) -> None:
        self._clock = clock
        self._board = Board(steps)
        file = cast("TextIO", _Forgiving(stream))
        self._console = Console(
            file=file, no_color=not colour, highlight=False, markup=False, emoji=False, force_terminal=True
        )
        self._live = Live(self, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        told = self._board.take(event, self._clock())
        if told is not None:
            self.say(told)

    def say(self, text: str) -> None:
        """Writes a line that stays, above those that are redrawn."""
        self._console.print(Text(text.rstrip("\n")), soft_wrap=True)

    def close(self) -> None:
        """Gives the terminal back, cursor included; more than once does no harm."""
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = min(max(options.size.height - 1, 1), _ROWS)
        for line in self._board.lines(options.max_width, rows, self._clock()):
            yield Text(line, no_wrap=True, overflow="crop")
