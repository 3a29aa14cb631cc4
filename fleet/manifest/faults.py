"""What is wrong with what people wrote: each fault with its place, all of them together in one error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.codes import Code
from fleet.errors import InputError
from fleet.manifest.inventory import Place

MOST_FAULTS = 1000
"""Reading ends here: a file of another kind could give one for each of its lines."""

_SHOWN = 60
_PASSWORD = re.compile(r"(?P<before>://(?:[^\s/@:]*:)?|:)(?!//)[^\s/@:`\"']+@(?!sha256:)")
"""What stands before the `@` of an address, where no credential belongs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: where it stands, the keys that lead to it, what is wrong, what to write instead."""

    place: Place
    path: str
    text: str
    hint: str | None = None

    def __str__(self) -> str:
        """`file:line:column: path.to.key: fault`, without the hint."""
        return f"{self.place}: {self.path}: {self.text}" if self.path else f"{self.place}: {self.text}"


class ManifestErrors(InputError):
    """The manifests or the inventory are wrong; `faults` has every fault, in the order of their places."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults), key=_order))
        lines = [f"{fault}\n  hint: {fault.hint}" if fault.hint else str(fault) for fault in self.faults]
        super().__init__("\n".join(lines), code=Code.MANIFEST_WRONG)


class Misread(ValueError):
    """A text that is not what its place wants. `offset` counts characters to the spot, where that is known."""

    def __init__(self, message: str, *, hint: str | None = None, offset: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.offset = offset


class TooManyFaults(Exception):
    """So many faults that reading on would tell nobody anything."""


class Faults:
    """Collects faults while reading goes on. Raises `TooManyFaults` past the limit."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, place: Place, path: str, text: str, hint: str | None = None) -> None:
        self.found.append(Fault(place, _safe(path), _safe(text), hint and _safe(hint)))
        if len(self.found) >= MOST_FAULTS:
            self.found.append(Fault(place, "", f"reading ended here, after {MOST_FAULTS} faults"))
            raise TooManyFaults


def _order(fault: Fault) -> tuple[Place, str, str]:
    return fault.place, fault.path, fault.text


def shown(text: str) -> str:
    """A text from a file as messages show it: on one line, without control characters, not too long."""
    text = without_password(text)
    return _printable(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _safe(text: str) -> str:
    """A message as it may be shown: what others wrote is in it, not always by way of `shown`."""
    return _printable(without_password(text))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )


def without_password(text: str) -> str:
    """The text, without what stands before the `@` of an address."""
    return _PASSWORD.sub(r"\g<before>…@", text) if "@" in text else text


def quoted(text: str) -> str:
    """`shown`, between backticks."""
    return f"`{shown(text)}`"


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The hint for a typing error: the known name that comes nearest, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - loaded only once something is wrong

    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(wrong[:_SHOWN].lower(), by_lower, n=1)
    return f"did you mean `{by_lower[close[0]]}`?" if close else None
