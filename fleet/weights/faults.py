"""What is wrong with files that models are to be made from."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.weights.local import LocalFile

_SHOWN = 60


class InvalidWeights(ValueError):
    """A file that no model can be made from. The message does not name it; `hint` says what to do, where that is known."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ChangedWeights(InvalidWeights):
    """The file is another one than when the manifests were read, or became one while it was read."""

    def __init__(self, message: str = "changed while it was read") -> None:
        super().__init__(message, hint="run again once nothing writes it any more")


class InvalidFiles(InvalidWeights):
    """What is wrong with several files, each with its fault, in their order; a line of the message for each."""

    def __init__(self, faults: Iterable[tuple[LocalFile, InvalidWeights]]) -> None:
        self.faults = tuple(faults)
        hints = {fault.hint: None for _, fault in self.faults if fault.hint}
        super().__init__(
            "\n".join(f"{file.shown}: {fault}" for file, fault in self.faults), hint="; ".join(hints) or None
        )


def quoted(name: str | bytes) -> str:
    """A name from a file as messages show it: between backticks, on one line, without control characters, not too long."""
    text = name[: 4 * _SHOWN].decode("utf-8", "replace") if isinstance(name, bytes) else name
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    if short.isprintable():
        return f"`{short}`"
    clean = (
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in short
    )
    return f"`{''.join(clean)}`"
