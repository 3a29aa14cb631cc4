"""Every input of a created model, each with a change to it; and ways to write the same model anew.

Each case is a created model as it is written first and as it is written then. Which keys there are is told by the
schema; `test_each_input` holds the cases to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.manifest.schema import json_schema
from fleet.parameters import PARAMETERS
from tests.weights import making

Fields = Mapping[str, Any]
Release = tuple[int, int, int]

ANY: Release = (0, 0, 0)
RENDERERS: Release = (0, 12, 0)
REQUIRES: Release = (0, 14, 0)
NEWEST: Release = (0, 30, 0)
"""From here on: drafts, split GGUFs."""


COMPANY: Mapping[str, Fields] = {
    "acme/derived": {"create": {"from": "acme/made", "system": "Derived."}},
    "chat": {"alias": "acme/derived"},
    "acme/beside": {"create": {"from": "other:1b", "system": "Beside."}},
}
"""What is made from the model, and one that has nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A created model in a manifest, and what lies beside that."""

    create: Fields
    files: Mapping[str, bytes] = field(default_factory=dict)
    """By path from the manifest's folder."""
    name: str = "acme/made"
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """`key` is that of the schema which changes; empty where something else does."""

    name: str
    key: str
    before: Written
    after: Written
    since: Release = ANY
    until: Release | None = None

    def known_to(self, release: Release) -> bool:
        return release >= self.since and (self.until is None or release < self.until)


def keys() -> frozenset[str]:
    """Every key of `create` that takes a value, by the schema, as `parameters.seed` and `files.path`."""
    schema = json_schema()

    def found(part: Mapping[str, Any], path: str) -> Iterator[str]:
        if "$ref" in part:
            yield from found(schema["$defs"][part["$ref"].rpartition("/")[2]], path)
        elif "anyOf" in part:
            for each in part["anyOf"]:
                yield from found(each, path)
        elif "properties" in part:
            for name, each in part["properties"].items():
                yield from found(each, f"{path}.{name}" if path else name)
        elif "items" in part:
            yield from found(part["items"], path)
        else:
            yield path

    return frozenset(found(schema["$defs"]["create"], ""))


ONE, TWO = making.model(general__name="one"), making.model(general__name="two")
assert len(ONE) == len(TWO)
STYLE = making.adapter()
OTHER_STYLE = STYLE[:-1] + b"\1"
EYES = making.projector()
OTHER_EYES = EYES[:-1] + b"\1"
FILES = {"one.gguf": ONE, "two.gguf": TWO, "style.gguf": STYLE, "other.gguf": OTHER_STYLE}
BASE: Fields = {"from": "base:1b"}
FROM_FILES: Fields = {"files": ["one.gguf"]}
DRAFTED: Fields = {**BASE, "drafts": "one.gguf"}
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
MODELFILE = """\
FROM base:1b
SYSTEM One.
PARAMETER temperature 0.5
PARAMETER stop <a>
PARAMETER stop <b>
MESSAGE user Hi
MESSAGE assistant Hello
LICENSE MIT
"""


def text(content: str) -> bytes:
    return content.encode()


def folder(**changed: bytes) -> dict[str, bytes]:
    """A small model in safetensors, below `folder/`; by key what is other than usual."""
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "num_hidden_layers": 1}
    contents = {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": b'{"model": {"vocab": {"a": 0}}}',
        "model.safetensors": making.safetensors({"model.layers.0.weight": (32, 32)}),
    }
    return {f"folder/{name}": content for name, content in {**contents, **changed}.items()}


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _parameter(kind: Any) -> tuple[Any, Any]:
    """Two values of the kind that the schema tells."""
    match kind:
        case "integer":
            return 3, 4
        case "number":
            return 0.5, 0.25
        case "boolean":
            return True, False
        case _:
            return ["<a>", "<b>"], ["<a>", "<c>"]


def _parameters() -> Iterator[Case]:
    for name, part in json_schema()["$defs"]["parameters"]["properties"].items():
        one, other = _parameter(part.get("type"))
        known = PARAMETERS[name]
        yield Case(
            f"parameters.{name}",
            f"parameters.{name}",
            Written({**BASE, "parameters": {name: one}}),
            Written({**BASE, "parameters": {name: other}}),
            known.since or ANY,
            known.until,
        )


def _field(key: str, one: Any, other: Any, *, since: Release = ANY, base: Fields = BASE) -> Case:
    files = {**FILES, "one.txt": b"One.", "two.txt": b"Two.", "one.Modelfile": text(MODELFILE)}
    files["two.Modelfile"] = text(MODELFILE.replace("One", "Two"))
    name, _, inner = key.partition(".")
    if inner in {"file", "path"}:
        one, other = {inner: one}, {inner: other}
    return Case(
        f"{key}: {one} to {other}"[:60],
        key,
        Written({**base, name: one}, files),
        Written({**base, name: other}, files),
        since,
    )


def _content(name: str, key: str, create: Fields, path: str, one: bytes, other: bytes, since: Release = ANY) -> Case:
    """The same manifest, and a file of another content."""
    return Case(name, key, Written(create, {**FILES, path: one}), Written(create, {**FILES, path: other}), since)


def _optional(key: str, value: Any, since: Release = ANY) -> Iterator[Case]:
    """A field that comes, and one that goes."""
    without, with_it = Written(BASE, FILES), Written({**BASE, key: value}, FILES)
    leaf = {"parameters": "parameters.temperature", "messages": "messages.content"}.get(key, key)
    yield Case(f"{key} comes", leaf, without, with_it, since)
    yield Case(f"{key} goes", leaf, with_it, without, since)


def _modelfile(line: str, other: str, since: Release = ANY, *, before: str = "FROM base:1b\n") -> Case:
    """One instruction says something else."""
    create = {"modelfile": "Modelfile"}
    first = before + line if not line.startswith("FROM") else line
    then = before + other if not line.startswith("FROM") else other
    return Case(
        f"Modelfile: {line}"[:60],
        "modelfile",
        Written(create, {**FILES, "Modelfile": text(f"{first}\n")}),
        Written(create, {**FILES, "Modelfile": text(f"{then}\n")}),
        since,
    )


INSTRUCTIONS = (
    _modelfile("FROM base:1b", "FROM other:1b"),
    _modelfile("FROM ./one.gguf", "FROM ./two.gguf"),
    _modelfile("ADAPTER ./style.gguf", "ADAPTER ./other.gguf"),
    _modelfile("SYSTEM One.", "SYSTEM Two."),
    _modelfile("TEMPLATE {{ .Prompt }}!", "TEMPLATE {{ .Prompt }}?"),
    _modelfile("PARAMETER seed 1", "PARAMETER seed 2"),
    _modelfile("PARAMETER top_p 0.5", "PARAMETER top_p 0.25"),
    _modelfile("PARAMETER use_mmap true", "PARAMETER use_mmap false"),
    _modelfile("PARAMETER stop <a>", "PARAMETER stop <b>"),
    _modelfile("MESSAGE user Hi", "MESSAGE user Ho"),
    _modelfile("LICENSE MIT", "LICENSE BSD"),
    _modelfile("RENDERER qwen3-coder", "RENDERER qwen3-vl-instruct", RENDERERS),
    _modelfile("PARSER qwen3-coder", "PARSER qwen3-vl-instruct", RENDERERS),
    _modelfile("REQUIRES 0.14.0", "REQUIRES 0.14.1", REQUIRES),
    _modelfile("DRAFT ./one.gguf", "DRAFT ./two.gguf", NEWEST),
)
"""The same inputs, through a Modelfile."""

CHANGED = (
    *_parameters(),
    *INSTRUCTIONS,
    _field("from", "base:1b", "other:1b"),
    _field("files", "one.gguf", "two.gguf", base={}),
    _field("files.path", "one.gguf", "two.gguf", base={}),
    _content("files: another content", "files", FROM_FILES, "one.gguf", ONE, TWO),
    _content("files: another projector", "files", {"files": ["one.gguf", "eyes.gguf"]}, "eyes.gguf", EYES, OTHER_EYES),
    Case(
        "files: a projector more",
        "files",
        Written(FROM_FILES, {**FILES, "eyes.gguf": EYES}),
        Written({"files": ["one.gguf", "eyes.gguf"]}, {**FILES, "eyes.gguf": EYES}),
    ),
    Case(
        "files: one of a folder",
        "files",
        Written({"files": "folder"}, folder()),
        Written({"files": "folder"}, folder(**{"tokenizer.json": b'{"model": {"vocab": {"b": 0}}}'})),
    ),
    Case(
        "files: a piece of several",
        "files",
        Written({"files": list(making.pieces(2))}, making.pieces(2)),
        Written(
            {"files": list(making.pieces(2))},
            {
                name: content[:-1] + b"\1" if "00002-of" in name else content
                for name, content in making.pieces(2).items()
            },
        ),
        NEWEST,
    ),
    _field("adapters", "style.gguf", "other.gguf"),
    _field("adapters.path", "style.gguf", "other.gguf"),
    _content(
        "adapters: another content", "adapters", {**BASE, "adapters": "style.gguf"}, "style.gguf", STYLE, OTHER_STYLE
    ),
    _field("drafts", "one.gguf", "two.gguf", since=NEWEST),
    _field("drafts.path", "one.gguf", "two.gguf", since=NEWEST),
    _content("drafts: another content", "drafts", DRAFTED, "one.gguf", ONE, TWO, NEWEST),
    _field("quantize", "Q8_0", "Q4_K_M", base=FROM_FILES),
    _field("draft_quantize", "Q8_0", "Q4_K_M", base=DRAFTED, since=NEWEST),
    _field("system", "One.", "Two."),
    _field("system.file", "one.txt", "two.txt"),
    _content("system: another content", "system.file", {**BASE, "system": {"file": "a.txt"}}, "a.txt", b"One", b"Two"),
    _field("template", "{{ .Prompt }}!", "{{ .Prompt }}?"),
    _field("template.file", "one.txt", "two.txt"),
    _field("messages.role", [{"role": "user", "content": "Hi"}], [{"role": "assistant", "content": "Hi"}]),
    _field("messages.content", [{"role": "user", "content": "Hi"}], [{"role": "user", "content": "Ho"}]),
    _field("messages.content", TALK, TALK[::-1]),
    _field("license", "MIT", "BSD"),
    _field("license", ["MIT", "BSD"], ["BSD", "MIT"]),
    _field("license.file", "one.txt", "two.txt"),
    _field("renderer", "qwen3-coder", "qwen3-vl-instruct", since=RENDERERS),
    _field("parser", "qwen3-coder", "qwen3-vl-instruct", since=RENDERERS),
    _field("requires", "0.14.0", "0.14.1", since=REQUIRES),
    _field("modelfile", "one.Modelfile", "two.Modelfile", base={}),
    _field("modelfile.file", "one.Modelfile", "two.Modelfile", base={}),
    *_optional("system", "One."),
    *_optional("template", "{{ .Prompt }}!"),
    *_optional("parameters", {"temperature": 0.5}),
    *_optional("messages", TALK),
    *_optional("license", ["MIT"]),
    *_optional("adapters", ["style.gguf"]),
    *_optional("drafts", ["one.gguf"], NEWEST),
    *_optional("renderer", "qwen3-coder", RENDERERS),
    *_optional("parser", "qwen3-coder", RENDERERS),
    *_optional("requires", "0.14.0", REQUIRES),
)
"""Each changes one input."""

_FULL: Fields = {
    **BASE,
    "system": "One.",
    "parameters": {"temperature": 0.5, "stop": ["<a>", "<b>"]},
    "messages": TALK,
    "license": ["MIT"],
}


def _same(name: str, before: Fields, after: Fields, key: str = "", since: Release = ANY, **files: str) -> Case:
    beside = {**FILES, **{path.replace("_", "."): text(content) for path, content in files.items()}}
    return Case(name, key, Written(before, beside), Written(after, beside), since)


def _same_modelfile(name: str, after: str | bytes) -> Case:
    create = {"modelfile": "Modelfile"}
    content = after if isinstance(after, bytes) else text(after)
    return Case(name, "", Written(create, {"Modelfile": text(MODELFILE)}), Written(create, {"Modelfile": content}))


_LINES = MODELFILE.splitlines(keepends=True)

SAME = (
    Case(
        "names written out, and in another case",
        "",
        Written({**_FULL, "from": "base:1b"}),
        Written({**_FULL, "from": "registry.ollama.ai/library/Base:1B"}, name="registry.ollama.ai/Acme/Made:latest"),
    ),
    Case("comments in the manifest", "", Written(_FULL), Written(_FULL, comment="# What is this?\n")),
    _same("fields in another order", _FULL, dict(reversed(list(_FULL.items())))),
    _same("fields, then a Modelfile", _FULL, {"modelfile": "Modelfile"}, Modelfile=MODELFILE),
    _same("a Modelfile, then fields", {"modelfile": "Modelfile"}, _FULL, Modelfile=MODELFILE),
    _same(
        "a field above a Modelfile",
        {"modelfile": "Modelfile"},
        {"modelfile": "Modelfile", "system": "One."},
        Modelfile=MODELFILE,
    ),
    _same("a text in a file", _FULL, {**_FULL, "system": {"file": "one.txt"}}, one_txt="One."),
    _same("one text for a list of one", {**_FULL, "license": "MIT"}, _FULL),
    _same(
        "a whole number as a fraction",
        {**BASE, "parameters": {"temperature": 1}},
        {**BASE, "parameters": {"temperature": 1.0}},
    ),
    _same("another spelling of a level", {**FROM_FILES, "quantize": "q4_k"}, {**FROM_FILES, "quantize": "Q4_K_M"}),
    _same_modelfile("a Modelfile in another order", "".join(reversed(_LINES[:3])) + "".join(_LINES[3:])),
    _same_modelfile("comments in a Modelfile", "# Who is this?\n\n" + "# and more\n".join(_LINES)),
    _same_modelfile("a Modelfile with other line ends", MODELFILE.replace("\n", "\r\n")),
    _same_modelfile("a Modelfile in small letters", MODELFILE.replace("SYSTEM", "system").replace("FROM", "from")),
    _same_modelfile(
        "a Modelfile with quotes", MODELFILE.replace("One.", '"""One."""').replace("LICENSE MIT", 'LICENSE "MIT"')
    ),
    _same_modelfile("a Modelfile with a byte order mark", b"\xef\xbb\xbf" + text(MODELFILE)),
    _same_modelfile("a Modelfile with what is replaced", "SYSTEM Zero.\n" + MODELFILE),
    Case(
        "a file that is written anew",
        "",
        Written(FROM_FILES, {"one.gguf": ONE}),
        Written(FROM_FILES, {"one.gguf": ONE}),
    ),
    Case(
        "a file under another name",
        "files",
        Written(FROM_FILES, {"one.gguf": ONE}),
        Written({"files": ["folder/again.gguf"]}, {"folder/again.gguf": ONE}),
    ),
    Case(
        "an adapter under another name",
        "adapters",
        Written({**BASE, "adapters": "style.gguf"}, FILES),
        Written({**BASE, "adapters": "again.gguf"}, {"again.gguf": STYLE}),
    ),
    Case(
        "a folder under another name",
        "files",
        Written({"files": "folder"}, folder()),
        Written({"files": "moved"}, {path.replace("folder/", "moved/"): content for path, content in folder().items()}),
    ),
    _same("what the file must be", FROM_FILES, {"files": {"path": "one.gguf", "sha256": sha256(ONE)}}, "files.sha256"),
    _same(
        "what the adapter must be",
        {**BASE, "adapters": "style.gguf"},
        {**BASE, "adapters": {"path": "style.gguf", "sha256": sha256(STYLE)}},
        "adapters.sha256",
    ),
    _same(
        "what the draft must be",
        DRAFTED,
        {**BASE, "drafts": {"path": "one.gguf", "sha256": sha256(ONE)}},
        "drafts.sha256",
        NEWEST,
    ),
)
"""Each writes the same model in another way."""


def write(at: Path, host: str, written: Written, *, company: Iterable[str]) -> None:
    """The manifest of one host: the model, and those of `COMPANY` that are wanted beside it."""
    base = written.create.get("from")
    models = {
        **{name: {} for name in ("base:1b", "other:1b")},
        **({base: {"pull": {"update": "always"}}} if base == "moving:1b" else {}),
        written.name: {"create": dict(written.create)},
        **{name: COMPANY[name] for name in company},
    }
    manifest = {"version": 1, "where": f"name={host}", "models": models}
    content = written.comment + json.dumps(manifest, indent=1)
    for path, raw in {**written.files, "models.yaml": content.encode()}.items():
        file = at / host / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
