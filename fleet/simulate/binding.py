"""Requests bound to their fields as Go structs are: keys in any case, unknown ones ignored, null as absent.

The first wrong type is told in Go's words; a reader takes a value as `gojson.read` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fleet.simulate.gojson import JsonError, Literal, kind, plain
from fleet.simulate.gotext import FOREVER, duration, json_text, quoted


class WrongTypeError(Exception):
    """A value does not fit its field. `path` is what lies below the field that was being bound."""

    def __init__(self, value: str, go_type: str, path: str = "") -> None:
        super().__init__(value)
        self.value = value
        self.go_type = go_type
        self.path = path


Reader = Callable[[Any], Any]


def text(value: Any) -> str:
    if kind(value) != "string":
        raise WrongTypeError(kind(value), "string")
    return str(plain(value))


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongTypeError(kind(value), "bool")
    return value


def whole(value: Any) -> int:
    if not isinstance(value, Literal):
        raise WrongTypeError(kind(value), "int")
    try:
        return int(value)
    except ValueError:
        raise WrongTypeError(f"number {value}", "int") from None


def anything(value: Any) -> Any:
    return plain(value)


def options(value: Any) -> dict[str, Any]:
    """A `map[string]any`."""
    if not isinstance(value, dict):
        raise WrongTypeError(kind(value), "map[string]interface {}")
    return dict(plain(value))


def texts(value: Any) -> dict[str, str]:
    """A `map[string]string`. A null value is an empty string."""
    if not isinstance(value, dict):
        raise WrongTypeError(kind(value), "map[string]string")
    out = {}
    for key, item in value.items():
        if item is not None and kind(item) != "string":
            raise WrongTypeError(kind(item), "string")
        out[str(plain(key))] = "" if item is None else str(plain(item))
    return out


def items(each: Reader, go_type: str) -> Reader:
    """A reader of lists."""

    def read_items(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise WrongTypeError(kind(value), go_type)
        return [each(item) for item in value if item is not None]

    return read_items


def keep_alive(*, whole_seconds: bool) -> Reader:
    """Reads nanoseconds; a negative number or duration is for ever. Raises `JsonError` in the server's words."""

    def read_duration(value: Any) -> int:
        if isinstance(value, Literal):
            return _nanoseconds(float(value), whole_seconds=whole_seconds)
        if isinstance(value, str):
            try:
                nanoseconds = duration(value)
            except ValueError as fault:
                raise JsonError(str(fault)) from None
            return FOREVER if nanoseconds < 0 else nanoseconds
        name = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}[type(value)]
        raise JsonError(f"Unsupported type: '{name}'")

    return read_duration


def _nanoseconds(seconds: float, *, whole_seconds: bool) -> int:
    if seconds < 0:
        return FOREVER
    if not math.isfinite(seconds):
        return -FOREVER - 1
    if whole_seconds:
        # Go's product of two ints wraps around.
        return (int(seconds) * 10**9 + FOREVER + 1) % (2 * (FOREVER + 1)) - FOREVER - 1
    nanoseconds = int(seconds * 10**9)
    # What is too large for an int becomes the smallest one there is: the model goes at once.
    return nanoseconds if nanoseconds <= FOREVER else -FOREVER - 1


def think(levels: tuple[str, ...]) -> Reader:
    """Reads the newer `think`: a boolean or a level. Raises `JsonError` in the server's words."""
    listed = ", ".join([*(f'"{level}"' for level in levels), "true"]) + ", or false"

    def read_think(value: Any) -> bool | str:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and not isinstance(value, Literal):
            if value in levels:
                return value
            raise JsonError(f"invalid think value: {quoted(value)} (must be {listed})")
        raise JsonError(f"think must be a boolean or string ({listed})")

    return read_think


def raw(value: Any) -> bytes:
    """A value kept as JSON."""
    return json_text(plain(value))


class Fields:
    """A Go struct: its name and the reader of each field."""

    def __init__(self, name: str, readers: Mapping[str, Reader], *, package: str = "api") -> None:
        self._name = name
        self._go_name = f"{package}.{name}"
        self._readers = dict(readers)
        self._folded = {key.lower(): key for key in readers}

    def bind(self, value: Any) -> dict[str, Any]:
        """The fields that are given and not null. Raises `JsonError`."""
        try:
            return self.bind_nested(value)
        except WrongTypeError as wrong:
            where = f"struct field {self._name}{wrong.path}" if wrong.path else "value"
            raise JsonError(f"json: cannot unmarshal {wrong.value} into Go {where} of type {wrong.go_type}") from None

    def bind_nested(self, value: Any) -> dict[str, Any]:
        """The same for a struct inside another. Raises `WrongTypeError` with the path below it, `JsonError`."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise WrongTypeError(kind(value), self._go_name)
        bound: dict[str, Any] = {}
        fault: WrongTypeError | None = None
        for key, item in value.items():
            field = key if key in self._readers else self._folded.get(key.lower())
            if field is None or item is None:
                continue
            try:
                bound[field] = self._readers[field](item)
            except WrongTypeError as wrong:
                placed = WrongTypeError(wrong.value, wrong.go_type, f".{field}{wrong.path}")
                if wrong.path:
                    # Types with a reader of their own end the reading; plain fields are only remembered.
                    raise placed from None
                fault = fault or placed
        if fault:
            raise fault
        return bound


MESSAGE = Fields(
    "Alias",
    {
        "role": text,
        "content": text,
        "thinking": text,
        "images": items(text, "[]api.ImageData"),
        "tool_calls": items(anything, "[]api.ToolCall"),
        "tool_name": text,
        "tool_call_id": text,
    },
)


def message(value: Any) -> dict[str, Any]:
    """A chat message: role in lower case, role and content always there."""
    bound = MESSAGE.bind_nested(value)
    head = {"role": bound.pop("role", "").lower(), "content": bound.pop("content", "")}
    return {**head, **{key: item for key, item in bound.items() if item}}
