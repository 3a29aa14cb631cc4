"""JSON read as a Go server reads it: the first value of the body, with Go's words for what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from fleet.simulate.gotext import quoted

_SPACE = " \t\r\n"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_HEX = frozenset(b"0123456789abcdefABCDEF")


class JsonError(Exception):
    """The body is no JSON, or holds a wrong type. The text is Go's."""


class EmptyBodyError(JsonError):
    """There is nothing to read but blanks."""


class Literal(str):
    """A number as it was written."""

    __slots__ = ()


def read(body: bytes) -> Any:
    """The first JSON value of the body. Raises `JsonError`, `EmptyBodyError`."""
    text = body.decode("utf-8", "replace").lstrip(_SPACE)
    if not text:
        raise EmptyBodyError("EOF")
    try:
        try:
            value, end = _DECODER.raw_decode(text)
            if isinstance(value, Literal) and text[end : end + 1] in {".", "e", "E"}:
                raise ValueError(text)
        except ValueError:
            _Scanner(body.lstrip(_SPACE.encode())).complain()
    except RecursionError:
        raise JsonError("exceeded max depth") from None
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER = json.JSONDecoder(parse_float=Literal, parse_int=Literal, parse_constant=_constant)


class _Scanner:
    """Walks a body that is known to be wrong up to its first fault, byte by byte, and names it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def complain(self) -> NoReturn:
        self._value()
        raise JsonError("unexpected EOF")

    def _peek(self) -> int:
        """The next byte. The end of the body is a fault wherever one is asked for."""
        if self._at >= len(self._body):
            raise JsonError("unexpected EOF")
        return self._body[self._at]

    def _blanks(self) -> int:
        while self._peek() in b" \t\r\n":
            self._at += 1
        return self._peek()

    def _fail(self, context: str) -> NoReturn:
        byte = self._peek()
        shown = {0x27: "'\\''", 0x22: "'\"'"}.get(byte) or f"'{quoted(chr(byte))[1:-1]}'"
        raise JsonError(f"invalid character {shown} {context}")

    def _value(self) -> None:
        byte = self._blanks()
        if byte == 0x7B:
            self._object()
        elif byte == 0x5B:
            self._array()
        elif byte == 0x22:
            self._string()
        elif byte in b"-0123456789":
            self._number()
        elif byte in b"tfn":
            self._word({0x74: b"true", 0x66: b"false", 0x6E: b"null"}[byte])
        else:
            self._fail("looking for beginning of value")

    def _object(self) -> None:
        self._at += 1
        if self._blanks() == 0x7D:
            self._at += 1
            return
        while True:
            if self._blanks() != 0x22:
                self._fail("looking for beginning of object key string")
            self._string()
            if self._blanks() != 0x3A:
                self._fail("after object key")
            self._at += 1
            self._value()
            byte = self._blanks()
            if byte not in b",}":
                self._fail("after object key:value pair")
            self._at += 1
            if byte == 0x7D:
                return

    def _array(self) -> None:
        self._at += 1
        if self._blanks() == 0x5D:
            self._at += 1
            return
        while True:
            self._value()
            byte = self._blanks()
            if byte not in b",]":
                self._fail("after array element")
            self._at += 1
            if byte == 0x5D:
                return

    def _string(self) -> None:
        self._at += 1
        while (byte := self._peek()) != 0x22:
            if byte < 0x20:
                self._fail("in string literal")
            self._at += 1
            if byte == 0x5C:
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        byte = self._peek()
        if byte not in b'"\\/bfnrtu':
            self._fail("in string escape code")
        self._at += 1
        if byte == 0x75:
            for _ in range(4):
                if self._peek() not in _HEX:
                    self._fail("in \\u hexadecimal character escape")
                self._at += 1

    def _word(self, word: bytes) -> None:
        for place, letter in enumerate(word):
            if self._peek() != letter:
                self._fail(f"in literal {word.decode()} (expecting '{chr(letter)}')" if place else "")
            self._at += 1

    def _number(self) -> None:
        match = _NUMBER.match(self._body, self._at)
        self._at = match.end() if match else self._at + 1
        if match is None:
            self._peek()
            self._fail("in numeric literal")
        byte = self._body[self._at] if self._at < len(self._body) else 0x20
        if byte == 0x2E and b"." not in match[0] and b"e" not in match[0].lower():
            self._at += 1
            self._peek()
            self._fail("after decimal point in numeric literal")
        if byte in b"eE" and b"e" not in match[0].lower():
            self._at += 1
            if self._peek() in b"+-":
                self._at += 1
            self._peek()
            self._fail("in exponent of numeric literal")


def plain(value: Any) -> Any:
    """A value for a Go `any`: numbers are floats, broken characters replaced. Raises `JsonError`."""
    if isinstance(value, Literal):
        number = float(value)
        if number in (float("inf"), float("-inf")):
            raise JsonError(f"json: cannot unmarshal number {value} into Go value of type float64")
        return number
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", key): plain(item) for key, item in value.items()}
    return value


def kind(value: Any) -> str:
    """What Go's decoder calls a value."""
    if isinstance(value, Literal):
        return "number"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
