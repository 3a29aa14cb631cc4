"""The part of the format that anybody may propose: which models, made how, on which hosts."""

from __future__ import annotations

from typing import Any, Final

from fleet.manifest.item import Message
from fleet.manifest.record import Key, ListOf, MapOf, OrEmpty, Record, ScalarOr
from fleet.manifest.shape import Choice, Flag, JsonSchema, Number, Parsed, Reader, Shape, Text, Whole
from fleet.manifest.tree import Node, Scalar
from fleet.manifest.words import BUILTIN, KEEP_ALIVE, MODEL, SELECTOR, SEMVER, model_key, path_template
from fleet.manifest.written import FileText
from fleet.parameters import PARAMETERS, Kind

MOST_ENTRIES: Final = 10_000
"""In all documents together."""
SOURCES: Final = ("pull", "create", "alias", "absent")
"""The keys of which an entry has one; none means `pull`."""


class Content(Shape[str | FileText]):
    """A text, or `{file: PATH}` for one that stands in a file."""

    wants = "text, or `{file: PATH}`"
    record = Record(
        Key(
            "file",
            Parsed("a path", path_template),
            "The file, from the manifest's folder; `{LABEL}` stands for a host's label.",
            needed=True,
        )
    )

    def read(self, node: Node, path: str, reader: Reader) -> str | FileText:
        if isinstance(node, Scalar):
            return self.scalar(node, path, reader).text
        given = self.record.read(node, path, reader).given["file"]
        return FileText(reader.folder, given.value, given.place)

    def schema(self) -> JsonSchema:
        return {"anyOf": [Text().schema(), self.record.schema()]}


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


_KINDS: Final[dict[Kind, Shape[Any]]] = {
    Kind.INTEGER: Whole(),
    Kind.NUMBER: Number(),
    Kind.FLAG: Flag(),
    Kind.TEXTS: ListOf(Text(), lone=True),
}

PARAMETER_KEYS: Final = Record(
    *(Key(one.name, _KINDS[one.kind], f"Takes {one.kind.value}.") for one in PARAMETERS.values()), title="parameters"
)

_CREATE: Final = Record(
    Key("from", MODEL, "The model that this one is made from."),
    Key("system", Content(), "The system prompt."),
    Key("template", Content(), "The prompt template, in Go's template language."),
    Key("parameters", PARAMETER_KEYS, "Parameters by name."),
    Key("messages", Messages(), "A conversation that the model has had already."),
    Key("license", ListOf(Content(), lone=True, least=1), "One licence text or several."),
    Key("renderer", BUILTIN, "The built-in renderer of prompts; servers from 0.12.0 on."),
    Key("parser", BUILTIN, "The built-in parser of answers; servers from 0.12.0 on."),
    Key("requires", SEMVER, "The oldest Ollama that can run the model; servers from 0.14.0 on."),
    title="create",
    later=("modelfile", "files", "adapters", "quantize", "draft_files", "draft_quantize"),
)

_WARM: Final = Record(
    Key("keep_alive", KEEP_ALIVE, "How long the model stays in memory, as `30m`; -1, the default, for ever."),
    Key("options", PARAMETER_KEYS, "Options to load the model with, as `num_ctx`."),
    title="warm",
)

_WARM_OR_NOT: Final = "`true`, `false` or a map"

WHERE: Final = Key("where", SELECTOR, "The hosts this is for, as `env=prod,site in (tokyo,osaka),vram>=80GB`.")
ALLOW_EMPTY: Final = Key("allow_empty", Flag(), "It is no mistake that `where` matches no host.")

_SETTABLE: Final[tuple[Key[Any], ...]] = (
    Key(
        "pull",
        Record(
            Key("update", Choice("missing", later=("locked", "always")), "When the model counts as current."),
            later=("pin", "from"),
            elsewhere={"digest": "a digest is pinned by `pin`, which is not supported yet"},
        ),
        "Have the model on disk, pulled from its registry.",
    ),
    Key("create", _CREATE, "Make the model from another one."),
    Key("alias", MODEL, "A copy that follows this model: the same content, no disk."),
    Key("absent", Flag(only=True), "The model must be gone; the key may be a glob."),
    Key(
        "warm",
        ScalarOr(Flag(wants=_WARM_OR_NOT), _WARM, wants=_WARM_OR_NOT),
        "Keep the model in memory: `true` for ever, or a map.",
    ),
    Key("protect", Flag(), "Never delete the model."),
    Key("freeze", Flag(), "Never change the model at all."),
)
_LATER: Final = ("check", "push", "replace")
_RESERVED: Final = ("rollout", "limits")
_ELSEWHERE: Final = {
    "pin": "`pin` belongs under `pull`, and is not supported yet",
    "digest": "a digest is pinned by `pin` under `pull`, which is not supported yet",
    "update": "`update` belongs under `pull`",
    "prune": "`prune` belongs under `policy`, where only `never` is supported yet",
    **{name: f"`{name}` belongs under `create`, and is not supported yet" for name in _CREATE.later},
    **{name: f"`{name}` belongs under `create`" for name in _CREATE.keys},
    **{name: f"`{name}` belongs under `warm`" for name in _WARM.keys},
}
_ONE_SOURCE: Final[JsonSchema] = {
    "allOf": [
        {"not": {"required": [one, other]}} for number, one in enumerate(SOURCES) for other in SOURCES[number + 1 :]
    ]
}

OVERRIDE_WHERE: Final = Key("where", SELECTOR, "The hosts for which this holds instead.", needed=True)
OVERRIDES: Final = Key(
    "overrides",
    ListOf(
        Record(OVERRIDE_WHERE, *_SETTABLE, later=_LATER, reserved=_RESERVED, elsewhere=_ELSEWHERE), least=1, most=100
    ),
    "What holds for some hosts instead: maps merge, lists replace; no key may be set twice for one host.",
)
ENTRY: Final = Record(
    *_SETTABLE,
    WHERE,
    ALLOW_EMPTY,
    OVERRIDES,
    later=_LATER,
    reserved=_RESERVED,
    elsewhere=_ELSEWHERE,
    together=_ONE_SOURCE,
)
MODELS: Final[Key[dict[str, Any]]] = Key(
    "models",
    MapOf(OrEmpty(ENTRY), model_key, most=MOST_ENTRIES, salvage=True),
    "What is asked for, by model name; nothing behind the name means: have it on disk, pulled.",
)
SETTABLE_NAMES: Final = tuple(key.name for key in _SETTABLE)
