"""What is wrong with a variant of an entry, told at the key that it is about.

Pure.
"""

from __future__ import annotations

from types import TracebackType

from fleet.manifest.faults import Faults
from fleet.manifest.inventory import Place
from fleet.manifest.variants import Variant


class Unsound(Exception):
    """The variant makes no item; the faults are told."""


def unsound(
    faults: Faults, variant: Variant, key: str, text: str, hint: str | None = None, *, place: Place | None = None
) -> Unsound:
    """Tells a fault and gives what to raise. Without a place it stands at the key, the first key below it, or the entry."""
    if place is None:
        below = (given for one, given in variant.gives.items() if one == key or one.startswith(key + "."))
        given = next(below, None) if key else None
        place = given.place if given else variant.entry.place
    path = f"{variant.entry.path}.{key}" if key else variant.entry.path
    faults.add(place, path, f"for `{variant.host.name}`: {text}" if variant.host else text, hint)
    return Unsound()


class Trials:
    """Lets one part after the other be tried in `with trials:`, so that the faults of all are told before it ends."""

    def __init__(self) -> None:
        self._failed = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        unsound = isinstance(error, Unsound)
        self._failed = self._failed or unsound
        return unsound

    def settle(self) -> None:
        """Raises `Unsound` if any part did."""
        if self._failed:
            raise Unsound
