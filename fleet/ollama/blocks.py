"""Takes the Modelfile of a show reply apart into its instructions (`ollama-api.md` 5.3).

Pure. A value is quoted only if it has a newline or a blank at its edge: by `"`, or by three if it contains one;
nothing is escaped. So where a value ends is a guess, unless the reply tells the same text in a field of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleet.ollama.wire import Show

_INSTRUCTION = re.compile(
    r"(FROM|ADAPTER|DRAFT|TEMPLATE|SYSTEM|RENDERER|PARSER|REQUIRES|LICENSE) |(?:PARAMETER|MESSAGE) [^\n ]+ "
)
_HEADER = re.compile(r"(?:#[^\n]*\n|\n)*")
_TRIPLE = '"""'


def quoted(value: str) -> str:
    """A value as the server writes it."""
    if not _needs_quotes(value):
        return value
    return f'"""{value}"""' if '"' in value else f'"{value}"'


def read_blocks(show: Show) -> list[tuple[str, str]]:
    """Instructions with their values, in order, but for PARAMETER and MESSAGE, which have fields of their own."""
    return list(_blocks(show))


def _blocks(show: Show) -> Iterator[tuple[str, str]]:
    text = show.modelfile
    told = {"TEMPLATE": show.template, "SYSTEM": show.system}
    licensed = 0
    header = _HEADER.match(text)
    position = header.end() if header else 0
    while position < len(text):
        instruction = _INSTRUCTION.match(text, position)
        if instruction is None:
            position = _line_end(text, position) + 1
            continue
        name, start = instruction[1], instruction.end()
        if name == "LICENSE":
            value, end = _license(text, start, show.license, licensed)
            licensed += len(value) + 1
        elif name in told and _closes(text, start, quoted(told[name])):
            value, end = told[name], start + len(quoted(told[name]))
        else:
            value, end = next(_readings(text, start))
        if name is not None:
            yield name, value
        position = end + 1


def _license(text: str, start: int, joined: str, done: int) -> tuple[str, int]:
    """The reading that agrees with the joined licences from `done` on; the likeliest if none does."""
    readings = list(_readings(text, start))
    for value, end in readings:
        after = done + len(value)
        if joined.startswith(value, done) and (after == len(joined) or joined[after : after + 1] == "\n"):
            return value, end
    return readings[0]


def _readings(text: str, start: int) -> Iterator[tuple[str, int]]:
    """The values that may stand at `start`, with the position of the newline after each; the likeliest first."""
    if text.startswith(_TRIPLE, start):
        # Sixteen ends tried: a text that repeats the end mark more often means to be slow to read.
        end = start + 3
        for _ in range(16):
            end = text.find(_TRIPLE, end)
            if end < 0:
                break
            value = text[start + 3 : end]
            if _closes(text, end, _TRIPLE) and _needs_quotes(value) and '"' in value:
                yield value, end + 3
            end += 1
    elif text.startswith('"', start):
        end = text.find('"', start + 1)
        value = text[start + 1 : end] if end > 0 else ""
        if end > 0 and _closes(text, end, '"') and _needs_quotes(value):
            yield value, end + 1
    end = _line_end(text, start)
    yield text[start:end], end


def _closes(text: str, position: int, part: str) -> bool:
    """Whether `part` stands there and the next line begins another instruction, or there is none."""
    end = position + len(part)
    if not text.startswith(part, position) or text[end : end + 1] not in {"", "\n"}:
        return False
    return end + 1 >= len(text) or _INSTRUCTION.match(text, end + 1) is not None


def _needs_quotes(value: str) -> bool:
    return "\n" in value or value.startswith(" ") or value.endswith(" ")


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end
