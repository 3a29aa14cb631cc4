"""How far a stream got, as bytes: keyed by layer, never going back, whatever the server says (`reliability.md` S12)."""

from __future__ import annotations

from fleet.ollama.wire import Progress

_HEX_SHOWN = 12


class Transferred:
    """Adds up one step's lines, over all its tries."""

    def __init__(self) -> None:
        self._furthest: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._credited = 0

    @property
    def bytes(self) -> int:
        """Moved since the first line of each layer: what was there before does not count."""
        return sum(self._furthest[layer] - self._first[layer] for layer in self._furthest)

    def heard(self, line: Progress) -> None:
        if line.digest is None or line.total is None:
            return
        completed = min(max(line.completed or 0, 0), max(line.total, 0))
        # A layer that is complete when it is named first was on the disk already.
        self._first.setdefault(line.digest, completed)
        self._furthest[line.digest] = max(self._furthest.get(line.digest, 0), completed)

    def shown(self, line: Progress) -> tuple[str | None, int | None, int | None]:
        """Layer, completed and total for people: within bounds, nothing where the line tells none."""
        if line.digest is None or line.total is None or line.total <= 0:
            return None, None, None
        layer = line.digest.removeprefix("sha256:")[:_HEX_SHOWN]
        return layer, min(self._furthest.get(line.digest, 0), line.total), line.total

    def advanced(self, floor: int) -> bool:
        """Whether at least `floor` bytes moved since this was last answered with yes."""
        if self.bytes - self._credited < max(floor, 1):
            return False
        self._credited = self.bytes
        return True
