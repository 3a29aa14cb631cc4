"""The part of the format that asks a model questions: what it has to answer before it counts as good."""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

from fleet.manifest.create_format import PARAMETER_KEYS, Messages
from fleet.manifest.faults import Misread
from fleet.manifest.item import Check
from fleet.manifest.record import Fields, Key, ListOf, Record
from fleet.manifest.shape import Choice, JsonSchema, Parsed, Reader, Shape, Text, Whole
from fleet.manifest.tree import Node
from fleet.manifest.words import WITHIN

LONGEST: Final = 500
"""Characters of an expression: it is run over whatever a model may answer."""

QUESTIONS: Final = ("prompt", "chat", "embed")
"""The keys of which a question has one."""


def expression(text: str) -> str:
    """A regular expression as Python reads it, unchanged. Raises `Misread`."""
    if len(text) > LONGEST:
        raise Misread(f"a regular expression of more than {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            # What a later Python may read otherwise is no fault today.
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise Misread(f"this is no regular expression: {error}") from None
    return text


_PROMPT: Final = Key("prompt", Text(), "A prompt, to be answered.")
_CHAT: Final = Key("chat", Messages(), "A conversation, to be gone on with.")
_EMBED: Final = Key("embed", Text(), "A text, to be made a vector.")
_EXPECT: Final = Key(
    "expect", Parsed("a regular expression", expression), "What the answer has to contain, as a regular expression."
)
_FORMAT: Final = Key("format", Choice("json"), "`json`: the answer is asked for as JSON, and has to be some.")
_DIMENSIONS: Final = Key("dimensions", Whole(1), "How long the vector has to be.")
_OPTIONS: Final = Key("options", PARAMETER_KEYS, "Options to ask with, as `temperature`.")
_WITHIN: Final = Key("within", WITHIN, "How long the whole answer may take, loading aside, as `60s`.")


class _Question(Shape[Check]):
    """One question, of one of three kinds."""

    wants = "a map"
    record = Record(
        _PROMPT,
        _CHAT,
        _EMBED,
        _EXPECT,
        _FORMAT,
        _DIMENSIONS,
        _OPTIONS,
        _WITHIN,
        title="question",
        together={"oneOf": [{"required": [name]} for name in QUESTIONS]},
    )

    def read(self, node: Node, path: str, reader: Reader) -> Check:
        fields = self.record.read(node, path, reader)
        asked = [name for name in QUESTIONS if name in fields.given]
        if len(asked) != 1:
            raise reader.wrong(node.mark, path, f"wants one of {', '.join(f'`{name}`' for name in QUESTIONS)}")
        misplaced = ("expect", "format") if asked == ["embed"] else ("dimensions",)
        for name in misplaced:
            if given := fields.given.get(name):
                reader.faults.add(given.place, f"{path}.{name}", f"`{name}` makes no sense for `{asked[0]}`")
        return _check(fields)

    def schema(self) -> JsonSchema:
        return self.record.schema()


def _check(fields: Fields) -> Check:
    options: dict[str, Any] = {}
    if (given := fields[_OPTIONS]) is not None:
        options = {name: one.value for name, one in sorted(given.given.items())}
    return Check(
        prompt=fields[_PROMPT],
        chat=fields[_CHAT] or (),
        embed=fields[_EMBED],
        expect=fields[_EXPECT],
        json=fields[_FORMAT] is not None,
        dimensions=fields[_DIMENSIONS],
        options=options,
        within=fields[_WITHIN],
    )


QUESTIONS_SHAPE: Final = ListOf(_Question(), least=1, most=20)
