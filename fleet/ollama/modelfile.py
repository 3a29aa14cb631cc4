"""Writes Modelfiles for servers up to 0.5.4, and knows how those read them back (`ollama-api.md` 8.2).

The language has no escapes: a text is plain, in `"` or in three of them, and some can be written in none of the ways.
So every value is read back here by the servers' own rules before it is sent; what would come back as something else
is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleet.names import Digest
from fleet.parameters import in_float32

ROLES = frozenset({"system", "user", "assistant"})


class NotExpressibleError(ValueError):
    """A value that no spelling brings to an old server unchanged: which field, and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def write(
    *,
    base: str | None = None,
    files: Sequence[Digest] = (),
    adapters: Sequence[Digest] = (),
    system: str | None = None,
    template: str | None = None,
    parameters: Mapping[str, str | float | bool | Sequence[str]],
    messages: Sequence[tuple[str, str]] = (),
    licenses: Sequence[str] = (),
) -> str:
    """A Modelfile that says this and nothing else; what is nothing is left out.

    It begins with `base`, a listed name, or with the uploaded blobs `files`: weights and projectors, each a line of
    its own, or the one zip of a safetensors directory. `adapters` are uploaded blobs too (`ollama-api.md` 7.2). A level
    to quantize to is no instruction but a field of the request. Raises `NotExpressibleError`.
    """
    lines = [] if base is None else [f"FROM {base}"]
    lines += [f"FROM @{digest}" for digest in files]
    lines += [f"ADAPTER @{digest}" for digest in adapters]
    if template is not None:
        lines.append(f"TEMPLATE {_quoted('template', template)}")
    if system is not None:
        lines.append(f"SYSTEM {_quoted('system', system)}")
    for name, value in sorted(parameters.items()):
        lines.extend(f"PARAMETER {name} {text}" for text in _parameter(name, value))
    lines.extend(f"LICENSE {_quoted('license', text)}" for text in licenses)
    for role, content in messages:
        if role not in ROLES:
            raise NotExpressibleError("messages", f"the role `{role}` is unknown there")
        if not content:
            raise NotExpressibleError("messages", "an empty message cannot be written there")
        lines.append(f"MESSAGE {role} {_quoted('messages', content)}")
    return "\n".join(lines) + "\n"


def read_value(text: str) -> tuple[str, str] | None:
    """What an old server takes from the text behind an instruction: the value, and what is left for the next one.

    Nothing where it would read to the end without finding one.
    """
    taken: list[str] = []
    for position, character in enumerate(text):
        if character == "\n":
            value = _unquoted("".join(taken).strip())
            if value is not None:
                return value, text[position + 1 :]
        if survives(character):
            taken.append(character)
    value = _unquoted("".join(taken).strip())
    return None if value is None else (value, "")


def survives(character: str) -> bool:
    """Whether an old server keeps it: printable ones in Unicode's sense, blanks, tabs and line ends."""
    return character.isprintable() or character in "\t\n"


def _parameter(name: str, value: str | float | bool | Sequence[str]) -> Iterator[str]:
    field = f"parameters.{name}"
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int | float):
        if not in_float32(value):
            raise NotExpressibleError(field, "no number of 32 bits can hold it")
        # Old servers refuse `8192.0` for a whole number, and take `1` for a fraction.
        yield repr(int(value) if float(value).is_integer() else value)
    elif isinstance(value, str):
        yield _quoted(field, value)
    elif not value:
        raise NotExpressibleError(field, "an empty list cannot be written there, and what is inherited would stay")
    else:
        for each in value:
            yield _quoted(field, each)


def _quoted(field: str, text: str) -> str:
    """The text in the first spelling that is read back as itself."""
    dropped = sorted({character for character in text if not survives(character)})
    if dropped:
        shown = ", ".join(f"U+{ord(character):04X}" for character in dropped[:5])
        raise NotExpressibleError(field, f"{shown} would be dropped silently")
    for spelled in (text, f'"{text}"', f'"""{text}"""'):
        # Followed by another instruction, so that a value which swallows it is noticed.
        if spelled and read_value(f"{spelled}\nNEXT") == (text, "NEXT"):
            return spelled
    raise NotExpressibleError(field, "its quotation marks would end it too early")


def _unquoted(text: str) -> str | None:
    """Without its outer quotes; nothing where they are not closed yet."""
    for quote in ('"""', '"'):
        if text.startswith(quote):
            closed = len(text) >= 2 * len(quote) and text.endswith(quote)
            return text[len(quote) : -len(quote)] if closed else None
    return text
