"""The language of Modelfiles, from letters to instructions (`ollama-api.md` 8.1 and 8.2).

Pure. It has no escapes and odd rules for quotes, which are kept as they are. Letters that Ollama's own reader would
drop without a word are faults here: a text is to reach the server exactly as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from fleet.manifest.faults import Fault, nearest, quoted
from fleet.manifest.inventory import Place

INSTRUCTIONS = (
    "FROM", "PARAMETER", "TEMPLATE", "SYSTEM", "ADAPTER", "LICENSE", "MESSAGE", "RENDERER", "PARSER", "REQUIRES", "DRAFT",
)  # fmt: skip
ROLES = ("system", "user", "assistant")
MOST_FAULTS = 50
"""Of one Modelfile; reading ends there."""

_LINE_END = re.compile(r"\r\n?|\n")
_EMPTY = re.compile(r"[ \t\r\n]*")
_BLANKS = re.compile(r"[ \t]*")
_REST = re.compile(r"[^\r\n]*")
_WORD = re.compile(r"[A-Za-z]*")
_TOKEN = re.compile(r"[^ \t\r\n]*")
_PARAMETER = re.compile(r"[A-Za-z0-9_]+\Z")
_NEXT = re.compile(
    rf"(?:\r\n?+|\n)(?=[ \t]*(?:(?:{'|'.join(INSTRUCTIONS)})(?:[ \t\r\n]|\Z)|[#\r\n]|\Z))", re.IGNORECASE
)
"""The end of a line behind which reading can go on, after one that is no instruction."""
_CLOSING = {quote: re.compile(rf"{quote}[ \t]*(?=[\r\n]|\Z)") for quote in ('"""', '"')}
"""A quote closes where it is the last on its line, and nowhere else."""

_SEVERAL_LINES = 'a text of several lines stands between `"""` and `"""`'
_NEVER_CLOSED = (
    "a quote closes only as the last of its line; a text that begins with one and goes on stands between"
    ' `"""` and `"""`'
)
_DROPPED = "as a field beside `modelfile`, or in a text file that such a field names, every letter counts"


class Instruction(NamedTuple):
    """One instruction. `word` is in upper case; `name` is a parameter's name or a message's role, else empty."""

    word: str
    name: str
    value: str
    place: Place
    """Of the word."""


class _Unsound(Exception):
    """What stands here is no instruction: `place`, what is wrong, what to write instead."""

    def __init__(self, place: Place, text: str, hint: str | None) -> None:
        super().__init__(text)
        self.place = place
        self.hint = hint


class Lines:
    """Reads the instructions of one text; what is wrong is in `faults` afterwards."""

    def __init__(self, text: str, file: str) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._written = text
        self._dropped = _dropped(text)
        # A blank in the place of each dropped letter: around words and values that comes to the same as leaving it
        # out, and every other letter stays where it is.
        self._text = text.translate(dict.fromkeys(map(ord, self._dropped), " ")) if self._dropped else text
        self._at = 0
        self._starts = array("q", [0])
        self._starts.extend(match.end() for match in _LINE_END.finditer(text))

    def read(self) -> Iterator[Instruction]:
        """The instructions, each as soon as it was read."""
        while self._next() and len(self.faults) < MOST_FAULTS:
            start = self._at
            try:
                instruction = self._instruction(self._place(start))
            except _Unsound as error:
                self.faults.append(Fault(error.place, "", str(error), error.hint))
                self._skip()
            else:
                yield instruction
            self._look(start, self._at)
        if len(self.faults) >= MOST_FAULTS:
            self.faults.append(
                Fault(self._place(self._at), "", f"reading ended here, after {MOST_FAULTS} faults", None)
            )

    def _next(self) -> bool:
        """Goes to the next instruction over blanks and comments, if there is one."""
        text = self._text
        while True:
            before, self._at = self._at, _end(_EMPTY, text, self._at)
            self._look(before, self._at)
            # Only here a `#` begins a comment; elsewhere it is part of a value.
            if not text.startswith("#", self._at):
                return self._at < len(text)
            self._at = _end(_REST, text, self._at)

    def _instruction(self, place: Place) -> Instruction:
        text, start = self._text, self._at
        end = _end(_WORD, text, start)
        word = text[start:end].upper()
        if word not in INSTRUCTIONS:
            token = text[start : _end(_TOKEN, text, start)]
            near = nearest(token, INSTRUCTIONS) if token.isalpha() else None
            raise _Unsound(place, f"no instruction is called {quoted(token)}", near or _SEVERAL_LINES)
        if text[end : end + 1] not in {" ", "\t"}:
            there = "nothing follows" if text[end : end + 1] in {"", "\r", "\n"} else "a blank is missing behind"
            raise _Unsound(place, f"{there} `{word}`", None)
        name = ""
        if word in {"PARAMETER", "MESSAGE"}:
            begin, end = end + 1, _end(_TOKEN, text, end + 1)
            name = text[begin:end]
            self._check_name(word, name, end, place)
        return Instruction(word, name, self._value(end + 1), place)

    def _check_name(self, word: str, name: str, end: int, place: Place) -> None:
        what = "role" if word == "MESSAGE" else "parameter"
        if not name and _end(_BLANKS, self._text, end) == _end(_REST, self._text, end):
            raise _Unsound(place, f"wants a {what} and a value behind `{word}`", None)
        if not name:
            raise _Unsound(
                place, f"more than one blank between `{word}` and its {what}", "servers read an empty name there"
            )
        if self._text[end : end + 1] not in {" ", "\t"}:
            raise _Unsound(place, f"wants a value behind {quoted(name)}", None)
        if word == "MESSAGE" and name not in ROLES:
            roles = f"{', '.join(f'`{role}`' for role in ROLES[:-1])} or `{ROLES[-1]}`"
            raise _Unsound(place, f"wants {roles} behind `MESSAGE`, not {quoted(name)}", nearest(name, ROLES))
        if word == "PARAMETER" and not _PARAMETER.match(name):
            raise _Unsound(place, f"{quoted(name)} is no name of a parameter (letters, digits, `_`)", None)

    def _value(self, start: int) -> str:
        """The value that begins here, without blanks around it and without its outer quotes; goes on behind it."""
        text = self._text
        start = _end(_BLANKS, text, start)
        quote = next((one for one in _CLOSING if text.startswith(one, start)), None)
        if quote is None:
            self._at = _end(_REST, text, start)
            return self._written[start : self._at].rstrip(" \t")
        closing = _CLOSING[quote].search(text, start + len(quote))
        if closing is None:
            self._at = len(text)
            raise _Unsound(self._place(start), f"`{quote}` opens a text here that is never closed", _NEVER_CLOSED)
        self._at = closing.end()
        return self._written[start + len(quote) : closing.start()]

    def _skip(self) -> None:
        """Goes to the next line that can be an instruction, so that one text of many lines makes one fault."""
        following = _NEXT.search(self._text, self._at)
        self._at = following.end() if following else len(self._text)

    def _look(self, start: int, end: int) -> None:
        """Tells of dropped letters in a part that is no comment."""
        if not self._dropped:
            return
        found = [offset for offset in range(start, end) if self._written[offset] in self._dropped]
        if found:
            letter = f"U+{ord(self._written[found[0]]):04X}"
            more = f", and {len(found) - 1:,} more after it" if len(found) > 1 else ""
            text = f"{letter} would be dropped by Ollama's own reader without a word{more}"
            self.faults.append(Fault(self._place(found[0]), "", text, _DROPPED))

    def _place(self, offset: int) -> Place:
        """Where a letter stands, as editors count: CR and LF together end one line."""
        line = bisect_right(self._starts, offset)
        return Place(self._file, line, offset - self._starts[line - 1] + 1)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the match that begins here ends; here, where there is none."""
    match = pattern.match(text, start)
    return match.end() if match else start


def _dropped(text: str) -> frozenset[str]:
    """The letters of the text that Ollama's reader drops: all that are not printable but blanks, tabs and line ends.

    Those that Unicode has not assigned are let through: this Python may know fewer than the server does.
    """
    if text.translate({9: None, 10: None, 13: None}).isprintable():
        return frozenset()
    return frozenset(
        letter
        for letter in set(text) - set("\t\n\r")
        if not letter.isprintable() and unicodedata.category(letter) != "Cn"
    )
