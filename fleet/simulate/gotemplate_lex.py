"""The words of a Go template: texts and the tokens inside `{{…}}`, with the lexer's own complaints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_KEYWORDS = {"block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"}
_BLANK = " \t\r\n"
_TOKEN = re.compile(
    r"(?P<field>\.[^\W\d]\w*)"
    r"|(?P<variable>\$\w*)"
    r"|(?P<number>[+-]|\.?\d)"
    r"|(?P<word>[^\W\d]\w*)"
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<raw>`[^`]*`)"
    r"|(?P<char>'(?:\\.|[^'\\\n])*')"
    r"|(?P<declare>:=)|(?P<assign>=)|(?P<comma>,)|(?P<pipe>\|)|(?P<left>\()|(?P<right>\))|(?P<dot>\.)",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][\da-fA-F_]*(?:\.[\da-fA-F_]*)?(?:[pP][+-]?[\d_]*)?|0[oO][0-7_]*|0[bB][01_]*"
    r"|[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?[\d_]*)?)i?",
    re.ASCII,
)


class Token(NamedTuple):
    """`kind` is that of the pattern, or `text open close space keyword error eof`."""

    kind: str
    value: str
    line: int

    def __str__(self) -> str:
        """As the parser names it in a complaint."""
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.value
        if self.kind in {"keyword", "dot"}:
            return f"<{self.value}>"
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"' if len(self.value) <= 10 else f'"{escaped[:10]}"...'


def tokens(text: str) -> Iterator[Token]:
    """All tokens up to the end, or up to an `error`."""
    at, line, trim = 0, 1, False
    while True:
        start = text.find("{{", at)
        body = text[at:] if start < 0 else text[at:start]
        shown = body.lstrip(_BLANK) if trim else body
        trimmed = start >= 0 and text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4] in _BLANK
        if trimmed and text[start + 3 : start + 4]:
            shown = shown.rstrip(_BLANK)
        if shown:
            yield Token("text", shown, line + body[: body.find(shown)].count("\n"))
        line += body.count("\n")
        if start < 0:
            yield Token("eof", "", line)
            return
        at = start + 2 + (2 if trimmed else 0)
        if text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                yield Token("error", "unclosed comment", line)
                return
            line += text.count("\n", at, end)
            at = end + 2
            trim = bool(re.match(r"[ \t\r\n]-\}\}", text[at:]))
            if not (trim or text.startswith("}}", at)):
                yield Token("error", "comment ends before closing delimiter", line)
                return
            at += 4 if trim else 2
            continue
        yield Token("open", "{{", line)
        for token, place in _inside(text, at, line):
            at = place
            line = token.line
            yield token
            if token.kind == "error":
                return
        trim = text[at - 3 : at - 2] == "-" and text[at - 4 : at - 3] in _BLANK


def _inside(text: str, at: int, line: int) -> Iterator[tuple[Token, int]]:
    """The tokens of one action and where each ends; its closing delimiter is the last."""
    depth = 0
    while True:
        closing = 2 if text.startswith("}}", at) else 4 if re.match(r"[ \t\r\n]-\}\}", text[at : at + 4]) else 0
        if closing:
            kind = "error" if depth else "close"
            yield Token(kind, "unclosed left paren" if depth else "}}", line), at + closing
            return
        if at >= len(text):
            yield Token("error", "unclosed action", line), at
            return
        if text[at] in _BLANK:
            end = at
            while text[end : end + 1] and text[end] in _BLANK and not re.match(r"[ \t\r\n]-\}\}", text[end : end + 4]):
                end += 1
            yield Token("space", text[at:end], line), end
            line += text.count("\n", at, end)
            at = end
            continue
        token = _word(text, at, line)
        depth += {"left": 1, "right": -1}.get(token.kind, 0)
        if depth < 0:
            token = Token("error", "unexpected right paren", line)
        at += len(token.value)
        yield token, at
        if token.kind == "error":
            return
        line += token.value.count("\n")


def _word(text: str, at: int, line: int) -> Token:
    match = _TOKEN.match(text, at)
    if match is None or match.lastgroup is None:
        return _stranger(text, at, line)
    kind, value = match.lastgroup, match[0]
    if kind == "number":
        return _number(text, at, line)
    if kind == "word":
        kind = "keyword" if value in _KEYWORDS else "bool" if value in {"true", "false"} else "word"
    following = text[match.end() : match.end() + 1]
    if kind in {"field", "variable", "word", "keyword", "bool"} and following not in {"", *" \t\r\n.,|:)(}"}:
        return Token("error", f"bad character U+{ord(following):04X} '{following}'", line)
    return Token(kind, value, line)


def _number(text: str, at: int, line: int) -> Token:
    match = _NUMBER.match(text, at)
    value = match[0] if match else ""
    following = text[at + len(value) : at + len(value) + 1]
    if following == "_" or following.isalnum():
        return Token("error", f'bad number syntax: "{value}{following}"', line)
    if value in {"+", "-"} or not any(character.isdigit() for character in value):
        return Token("error", f'bad number syntax: "{value}"', line)
    return Token("number", value, line)


def _stranger(text: str, at: int, line: int) -> Token:
    """A character that begins nothing: printable ones are the parser's to refuse."""
    character = text[at]
    fault = {'"': "unterminated quoted string", "`": "unterminated raw quoted string", ":": "expected :="}.get(
        character
    )
    if character == "'":
        fault = "unterminated character constant"
    if fault is None and character.isascii() and character.isprintable():
        return Token("stranger", character, line)
    shown = f"U+{ord(character):04X}" + (f" '{character}'" if character.isprintable() else "")
    return Token("error", fault or f"unrecognized character in action: {shown}", line)
