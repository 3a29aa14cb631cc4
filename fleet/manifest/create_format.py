"""The part of the format that says what a model is made from: the fields of `create`, or a Modelfile."""

from __future__ import annotations

from typing import Any, Final

from fleet.manifest.faults import Misread, nearest, quoted
from fleet.manifest.item import Message
from fleet.manifest.record import Key, ListOf, Record
from fleet.manifest.shape import Choice, Flag, JsonSchema, Number, Parsed, Reader, Shape, Text, Whole
from fleet.manifest.tree import Node, Scalar
from fleet.manifest.words import BUILTIN, DIGEST, MODEL, SEMVER, path_template
from fleet.manifest.written import FileModelfile, FileText, FileWeights
from fleet.parameters import PARAMETERS, Kind

LEVELS: Final = (
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q2_K_S", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",
    "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS",
    "IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS",
)  # fmt: skip
"""Levels of quantization that some version makes (`ollama-api.md` 7.6)."""

_PATH: Final = Parsed("a path", path_template)
_FILE: Final = Key(
    "file", _PATH, "The file, from the manifest's folder; `{LABEL}` stands for a host's label.", needed=True
)


class Content(Shape[str | FileText]):
    """A text, or `{file: PATH}` for one that stands in a file."""

    wants = "text, or `{file: PATH}`"
    record = Record(_FILE)

    def read(self, node: Node, path: str, reader: Reader) -> str | FileText:
        if isinstance(node, Scalar):
            return self.scalar(node, path, reader).text
        given = self.record.read(node, path, reader).given["file"]
        return FileText(reader.folder, given.value, given.place)

    def schema(self) -> JsonSchema:
        return {"anyOf": [Text().schema(), self.record.schema()]}


class _Modelfile(Shape[FileModelfile]):
    """The path of a Modelfile, alone or as `{file: PATH}`."""

    wants = "the path of a Modelfile"
    record = Record(_FILE)

    def read(self, node: Node, path: str, reader: Reader) -> FileModelfile:
        if isinstance(node, Scalar):
            if "\n" in node.text:
                hint = "put it into a file and name that, or write its instructions as fields"
                raise reader.wrong(node.mark, path, f"wants {self.wants}, not what is in it", hint)
            return FileModelfile(reader.folder, _PATH.read(node, path, reader), reader.place(node.mark))
        given = self.record.read(node, path, reader).given["file"]
        return FileModelfile(reader.folder, given.value, given.place)

    def schema(self) -> JsonSchema:
        return {"anyOf": [_PATH.schema(), self.record.schema()]}


class _Weights(Shape[FileWeights]):
    """The path of a GGUF or of a folder with safetensors, alone or with the digest that the file must have."""

    wants = "a path, or `{path: PATH, sha256: DIGEST}`"
    _path = Key("path", _PATH, "The file or folder, from the manifest's folder.", needed=True)
    _sha256 = Key("sha256", DIGEST, "What the file must be.")
    record = Record(_path, _sha256, elsewhere={"file": "a file of weights is named by `path`"}, title="weights")

    def read(self, node: Node, path: str, reader: Reader) -> FileWeights:
        if isinstance(node, Scalar):
            self.scalar(node, path, reader)
            return FileWeights(reader.folder, _PATH.read(node, path, reader), reader.place(node.mark))
        fields = self.record.read(node, path, reader)
        given = fields.given["path"]
        return FileWeights(reader.folder, given.value, given.place, fields[self._sha256])

    def schema(self) -> JsonSchema:
        return {"anyOf": [_PATH.schema(), self.record.schema()]}


class Messages(Shape[tuple[Message, ...]]):
    """A conversation that the model has had already."""

    wants = "a list"
    _role = Key("role", Choice("system", "user", "assistant"), "Who speaks.", needed=True)
    _content = Key("content", Text(), "What is said.", needed=True)
    _list = ListOf(Record(_role, _content, later=("images", "tool_calls", "tool_name", "thinking")), least=1)

    def read(self, node: Node, path: str, reader: Reader) -> tuple[Message, ...]:
        turns = self._list.read(node, path, reader)
        return tuple(Message(turn.given["role"].value, turn.given["content"].value) for turn in turns)

    def schema(self) -> JsonSchema:
        return self._list.schema()


def level(text: str) -> str:
    """A level of quantization in its one spelling. Raises `Misread` for one that no version makes."""
    known = {name.lower(): name for name in LEVELS} | {"q4_k": "Q4_K_M"}
    if text.lower() not in known:
        raise Misread(f"no version of Ollama makes {quoted(text)}", hint=nearest(text, LEVELS))
    return known[text.lower()]


_KINDS: Final[dict[Kind, Shape[Any]]] = {
    Kind.INTEGER: Whole(),
    Kind.NUMBER: Number(),
    Kind.FLAG: Flag(),
    Kind.TEXTS: ListOf(Text(), lone=True),
}
_LEVEL: Final = Parsed("a level of quantization", level, {"type": "string"})
_FILES: Final = ListOf(_Weights(), lone=True, least=1)

PARAMETER_KEYS: Final = Record(
    *(Key(one.name, _KINDS[one.kind], f"Takes {one.kind.value}.") for one in PARAMETERS.values()), title="parameters"
)

CREATE: Final = Record(
    Key("modelfile", _Modelfile(), "A Modelfile that says all this; fields beside it stand above it."),
    Key("from", MODEL, "The model that this one is made from."),
    Key("files", _FILES, "Weights that it is made from: GGUFs, or a folder with safetensors."),
    Key("adapters", _FILES, "An adapter to put over them: a GGUF, or a folder with safetensors."),
    Key("drafts", _FILES, "A smaller model that drafts answers; servers from 0.30.0 on."),
    Key("quantize", _LEVEL, "The level to quantize F16 and BF16 weights to, as `Q4_K_M`."),
    Key("draft_quantize", _LEVEL, "The same for the drafting model; servers from 0.30.0 on."),
    Key("system", Content(), "The system prompt."),
    Key("template", Content(), "The prompt template, in Go's template language."),
    Key("parameters", PARAMETER_KEYS, "Parameters by name."),
    Key("messages", Messages(), "A conversation that the model has had already."),
    Key("license", ListOf(Content(), lone=True, least=1), "One licence text or several."),
    Key("renderer", BUILTIN, "The built-in renderer of prompts; servers from 0.12.0 on."),
    Key("parser", BUILTIN, "The built-in parser of answers; servers from 0.12.0 on."),
    Key("requires", SEMVER, "The oldest Ollama that can run the model; servers from 0.14.0 on."),
    title="create",
    together={"not": {"required": ["from", "files"]}},
    elsewhere={
        "draft_files": "the files of a drafting model belong under `drafts`",
        "base": "the model that this one is made from is named by `from`",
        "adapter": "adapters belong under `adapters`",
        "quantization": "the level is named by `quantize`",
    },
)
