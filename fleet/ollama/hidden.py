"""A value that is not to be seen."""

from __future__ import annotations

from typing import Never


class Hidden:
    """A secret that shows itself only to who asks by `reveal`: not printed, formatted, logged, pickled or compared."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a secret is not to be pickled or copied")
