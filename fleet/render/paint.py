"""Colour for terminals. It repeats what the words already say: without it nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass

_RESET = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Paint:
    """Paints text that is already clean; does nothing where `on` is not set."""

    on: bool = False

    def _with(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_RESET}" if self.on and text else text

    def strong(self, text: str) -> str:
        return self._with("1", text)

    def faint(self, text: str) -> str:
        return self._with("2", text)

    def good(self, text: str) -> str:
        return self._with("32", text)

    def bad(self, text: str) -> str:
        return self._with("31", text)

    def warning(self, text: str) -> str:
        return self._with("33", text)

    def by_symbol(self, text: str, symbol: str) -> str:
        """Green for `+`, yellow for `~`, red for `-`."""
        return {"+": self.good, "~": self.warning, "-": self.bad}.get(symbol, str)(text)


PLAIN = Paint()
