"""The live view of a pass as lines that fit a terminal of any size: what runs, how far it is, what is done."""

from __future__ import annotations

from collections import Counter

from fleet.reconcile.progress import Event, HostAwaited, HostSeen, StepBegun, StepEnded, StepMoved, StepRetried
from fleet.reconcile.report import Outcome
from fleet.render.plain import event_line
from fleet.render.transfer import Transfer, title
from fleet.render.words import counted

_BAR = 20
_LEAST = 8
"""Columns below which a terminal is not taken at its word."""


class Board:
    """Keeps what is running. Fed with events and asked for lines; knows no terminal and no clock."""

    def __init__(self, steps: int) -> None:
        """`steps` is how many the plan has."""
        self._steps = steps
        self._running: dict[int, Transfer] = {}
        self._ended: Counter[Outcome] = Counter()
        self._seen = (0, 0)

    def take(self, event: Event, now: float) -> str | None:
        """Notes an event at `now`, seconds of a clock that is never set back.

        Returns a line that should stay on the screen, for what is worth remembering.
        """
        match event:
            case HostSeen():
                self._seen = (event.seen, event.of)
                return None
            case HostAwaited():
                return None
            case StepBegun():
                self._running[event.step.number] = Transfer(event.step, now)
                return None
            case StepMoved():
                running = self._running.setdefault(event.step.number, Transfer(event.step, now))
                running.moved(event, now)
                return None
            case StepRetried():
                if event.step.number in self._running:
                    self._running[event.step.number].began_again()
                return event_line(event)
            case StepEnded():
                self._running.pop(event.result.step.number, None)
                self._ended[event.result.outcome] += 1
                return event_line(event)

    def lines(self, width: int, height: int, now: float) -> list[str]:
        """At most `height` lines of at most `width` characters: the longest running steps first, then a sum."""
        width, height = max(width, _LEAST), max(height, 1)
        running = sorted(self._running.values(), key=lambda each: (each.begun, each.step.number))
        shown = running[: height - 1]
        if len(running) > len(shown) and len(shown) > 1:
            shown = shown[:-1]
        lines = [fitted(_line(each, width, now), width) for each in shown]
        if len(shown) < len(running) and height > 1:
            lines.append(fitted(f"… and {len(running) - len(shown)} more", width))
        return [*lines, fitted(self._sum(), width)][:height]

    def _sum(self) -> str:
        done, ended = self._ended[Outcome.DONE], self._ended.total()
        seen, of = self._seen
        if not self._running and not ended:
            return f"looked at {seen} of {counted(of, 'host')}" if of else "looking at the hosts"
        parts = [f"{done} of {counted(self._steps, 'step')} done", f"{len(self._running)} running"]
        if ended - done:
            parts.append(f"{ended - done} not done")
        return ", ".join(parts)


def fitted(text: str, width: int) -> str:
    """The text cut to `width` characters, with an ellipsis where something is missing."""
    return text if len(text) <= width else text[: width - 1] + "…"


def _line(running: Transfer, width: int, now: float) -> str:
    """Title, bar and numbers where they fit; on narrow terminals the numbers matter more than the end of a title."""
    share = running.share
    if share is None:
        told = running.told(now)
        return f"{title(running.step)}  {told}" if told else title(running.step)
    if width >= 100:
        bar = "█" * int(_BAR * share)
        return f"{title(running.step)}  {bar:░<{_BAR}}  {running.told(now, with_layer=True)}"
    told = running.told(now) if width >= 60 else f"{int(100 * share)} %"
    return f"{fitted(title(running.step), max(width - len(told) - 2, _LEAST))}  {told}"
