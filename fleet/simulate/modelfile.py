"""Modelfiles: the parser of servers up to 0.5.4, character by character, and the rendering that show gives.

The grammar with its oddities is `ollama-api.md` 8.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_COMMANDS = {"from", "license", "template", "system", "adapter", "parameter", "message"}
_INVALID_COMMAND = (
    'command must be one of "from", "license", "template", "system", "adapter", "parameter", or "message"'
)
_INVALID_ROLE = 'message role must be one of "system", "user", or "assistant"'
_BLANKS = " \t"
_NEWLINES = "\r\n"
_GO_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


class ModelfileError(ValueError):
    """The text is no Modelfile. The message is the server's."""


class Command(NamedTuple):
    """An instruction. Parameters have their own names, FROM is called `model`, messages are `role: text`."""

    name: str
    value: str


def parse(text: str, *, lines: bool) -> list[Command]:
    """The instructions in order. `lines` puts the line's number before a fault. Raises `ModelfileError`."""
    commands = _Parser(lines=lines).parse(text.removeprefix("\ufeff"))
    if not any(command.name == "model" for command in commands):
        raise ModelfileError("no FROM line")
    return commands


class _Parser:
    """A state machine over characters; the states are those of the server."""

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines
        self._line = 1
        self._state = "nothing"
        self._text = ""
        self._name = ""
        self._role = ""
        self._commands: list[Command] = []

    def parse(self, text: str) -> list[Command]:
        for character in text:
            if character in _NEWLINES:
                self._line += 1
            self._take(character)
        if self._state == "value":
            value = unquoted(self._text.strip(_GO_SPACE))
            if value is None:
                raise ModelfileError("unexpected EOF")
            self._finish(value)
        elif self._state not in {"comment", "nothing"}:
            raise ModelfileError("unexpected EOF")
        return self._commands

    def _fail(self, message: str) -> ModelfileError:
        return ModelfileError(f"(line {self._line}): {message}" if self._lines else message)

    def _take(self, character: str) -> None:
        following, kept = self._step(character)
        if following != self._state:
            leave = getattr(self, f"_leave_{self._state}", None)
            if leave:
                entered = leave(following, kept)
                if entered is None:
                    return
                following = entered
            self._text = ""
            self._state = following
        if kept and (kept.isprintable() or kept == " "):
            self._text += kept

    def _step(self, character: str) -> tuple[str, str]:
        """The state that this character leads to, and the character if it belongs to a text."""
        state = self._state
        if state == "nothing":
            if character == "#":
                return "comment", ""
            return ("nothing", "") if character in _BLANKS + _NEWLINES else ("name", character)
        if state == "comment":
            return ("nothing" if character in _NEWLINES else "comment"), ""
        if state == "value":
            return ("nothing" if character in _BLANKS + _NEWLINES else "value"), character
        if character in _BLANKS:
            return "value", ""
        letter = character.isascii() and character.isalpha()
        if letter or (state == "parameter" and (character == "_" or (character.isascii() and character.isdigit()))):
            return state, character
        if state == "name":
            raise self._fail(_INVALID_COMMAND)
        raise ModelfileError(f"unexpected EOF: {self._text}")

    def _leave_name(self, following: str, kept: str) -> str:
        word = self._text.lower()
        if word not in _COMMANDS:
            raise self._fail(_INVALID_COMMAND)
        if word == "parameter":
            return "parameter"
        self._name = "model" if word == "from" else word
        return "message" if word == "message" else following

    def _leave_parameter(self, following: str, kept: str) -> str:
        self._name = self._text
        return following

    def _leave_message(self, following: str, kept: str) -> str:
        if self._text not in {"system", "user", "assistant"}:
            raise self._fail(_INVALID_ROLE)
        self._role = self._text
        return following

    def _leave_value(self, following: str, kept: str) -> str | None:
        """Ends the value at a line's end if it is whole; else the character is part of it, printable or not."""
        value = unquoted(self._text.strip(_GO_SPACE))
        if value is None or kept in _BLANKS:
            self._text += kept
            return None
        self._finish(value)
        return following

    def _finish(self, value: str) -> None:
        if self._role:
            value = f"{self._role}: {value}"
            self._role = ""
        self._commands.append(Command(self._name, value))


def unquoted(text: str) -> str | None:
    """The value without its outer quotes, or none where they are not closed yet."""
    if text.startswith('"""'):
        return text[3:-3] if len(text) >= 6 and text.endswith('"""') else None
    if text.startswith('"'):
        return text[1:-1] if len(text) >= 2 and text.endswith('"') else None
    return text


def quoted(text: str) -> str:
    """As servers render values: quoted only where a newline or an outer blank asks for it, never escaped."""
    if "\n" not in text and not text.startswith(" ") and not text.endswith(" "):
        return text
    return f'"""{text}"""' if '"' in text else f'"{text}"'


def rendered(commands: Iterable[Command]) -> str:
    """The text of a Modelfile, an instruction a line."""
    return "".join(f"{_line(command)}\n" for command in commands)


def _line(command: Command) -> str:
    if command.name == "model":
        return f"FROM {command.value}"
    if command.name in {"license", "template", "system", "adapter", "renderer", "parser", "draft"}:
        return f"{command.name.upper()} {quoted(command.value)}"
    if command.name == "message":
        role, _, content = command.value.partition(": ")
        return f"MESSAGE {role} {quoted(content)}"
    return f"PARAMETER {command.name} {quoted(command.value)}"
