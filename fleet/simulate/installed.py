"""A model as a server reads it from its store before it shows, lists or runs it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from typing import Any

from fleet.simulate import gguf, gotemplate
from fleet.simulate.blobs import Content
from fleet.simulate.config import Config
from fleet.simulate.gotext import shown
from fleet.simulate.modelfile import Command, rendered
from fleet.simulate.modelname import Name
from fleet.simulate.store import Store
from fleet.simulate.versions import Behaviour, Capability

DEFAULT_TEMPLATE = "{{ .Prompt }}"
_HEADER_GUESS = 1 << 20
_SMALL = 1 << 16
"""Bytes of a content whose header is kept once it was read: a listing reads that of every model anew."""


@dataclass(slots=True)
class Installed:
    """What manifest, config and layers say. Digests are `sha256:` ones, `digest` is the manifest's bare one."""

    name: Name
    digest: str
    modified: int
    config: Config
    model: str = ""
    parent: str = ""
    adapters: list[str] = field(default_factory=list)
    projectors: list[str] = field(default_factory=list)
    draft: str = ""
    template: str = DEFAULT_TEMPLATE
    has_template: bool = False
    system: str = ""
    licenses: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    header: gguf.Header | None = None
    """Of the model's GGUF, where it is there and can be read."""
    prefers_chat_template: bool = False

    @property
    def runner_key(self) -> str:
        """What runners are told apart by: the weights."""
        return self.model or f"name {self.name.full}"

    @property
    def chat_template(self) -> str:
        found = self.header.metadata.get("tokenizer.chat_template") if self.header else None
        return found.value if found and isinstance(found.value, str) else ""


@lru_cache(maxsize=512)
def _header(raw: bytes) -> gguf.Header:
    return gguf.read(raw)


def header_of(content: Content) -> gguf.Header:
    """The header of a content, of which only as much is read as it needs. Raises `GgufError`."""
    if content.size <= _SMALL:
        return _header(content.read(0, content.size))
    length = _HEADER_GUESS
    while True:
        try:
            return gguf.read(content.read(0, length))
        except gguf.GgufError:
            if length >= content.size:
                raise
            length *= 8


def read_model(store: Store, name: Name) -> Installed:
    """Raises `FileNotFoundError` where the name or a text layer is missing, `ValueError` where one cannot be read."""
    stored, manifest = store.get(name)
    config = Config()
    if manifest.config.digest:
        config = Config.decoded(store.blobs.read(manifest.config.digest))
    model = Installed(name, stored.digest, stored.modified, config)
    for layer in manifest.layers or ():
        store.blobs.path(layer.digest)
        _take(model, layer.kind, layer.digest, layer.origin, store)
    content = store.blobs.find(model.model) if model.model else None
    if content:
        try:
            model.header = header_of(content)
        except gguf.GgufError:
            model.header = None
    if store.behaviour.has(Capability.TAGS_TELL_MORE):
        model.prefers_chat_template = _prefers_chat_template(model, store.behaviour)
    return model


def _take(model: Installed, kind: str, digest: str, origin: str, store: Store) -> None:
    """Puts one layer where it belongs; of several of a kind the last counts."""
    match kind:
        case "model":
            model.model, model.parent = digest, origin
        case "adapter":
            model.adapters.append(digest)
        case "projector":
            model.projectors.append(digest)
        case "draft":
            model.draft = digest
        case "prompt" | "template":
            model.template = store.blobs.read(digest).decode("utf-8", "replace")
            model.has_template = True
            gotemplate.parsed(model.template)
        case "system":
            model.system = store.blobs.read(digest).decode("utf-8", "replace")
        case "license":
            model.licenses.append(store.blobs.read(digest).decode("utf-8", "replace"))
        case "params":
            model.options |= _floats(json.loads(store.blobs.read(digest)) or {})
        case "messages":
            model.messages = json.loads(store.blobs.read(digest)) or []
        case _:
            pass


def _floats(value: Any) -> Any:
    """JSON as Go holds it: all numbers are floats."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def capabilities(model: Installed, behaviour: Behaviour) -> list[str]:
    """What show says the model can do; the order is the server's."""
    if behaviour.has(Capability.TAGS_TELL_MORE):
        found = list(model.config.capabilities)
        if model.header and not renders_itself(model):
            found += _chat_template_capabilities(model.chat_template)
        found += _weights_capabilities(model, behaviour)
        found += ["vision"] if model.projectors else []
        if not model.has_template or _uses_template(model):
            found += template_capabilities(model.template, behaviour)
        found += _parser_capabilities(model, behaviour)
        found += ["thinking"] if _is_gptoss(model) else []
        return list(dict.fromkeys(found))
    return _earlier_capabilities(model, behaviour)


def _earlier_capabilities(model: Installed, behaviour: Behaviour) -> list[str]:
    found = _weights_capabilities(model, behaviour)
    if behaviour.has(Capability.CAPABILITIES_INHERITED) or (
        behaviour.has(Capability.REMOTE) and not model.model and model.config.capabilities
    ):
        found += [name for name in model.config.capabilities if name not in found]
    tools, thinking = behaviour.parser(model.config.parser)
    of_template = template_capabilities(model.template, behaviour)
    found += ["tools"] if tools or "tools" in of_template else []
    found += ["insert"] if "insert" in of_template else []
    found += ["vision"] if model.projectors else []
    if "thinking" not in found and ("thinking" in of_template or thinking or _is_gptoss_since(model, behaviour)):
        found.append("thinking")
    return found


def listed_capabilities(model: Installed, behaviour: Behaviour) -> list[str]:
    """What tags say; the same as show but for the order, and without the GGUF's own chat template."""
    found = [] if model.header is None else _skimmed_capabilities(model.header)
    found += model.config.capabilities
    tools, thinking = behaviour.parser(model.config.parser)
    of_template = template_capabilities(model.template, behaviour)
    found += ["tools"] if tools or "tools" in of_template else []
    found += ["insert"] if "insert" in of_template else []
    found += ["thinking"] if thinking or "thinking" in of_template or _is_gptoss(model) else []
    found += ["vision"] if model.projectors else []
    return list(dict.fromkeys(found))


def skimmed(header: gguf.Header) -> dict[str, gguf.Value]:
    """What a listing reads of a header: it stops where the tokenizer begins, and may miss what stands behind it."""
    return dict(takewhile(lambda item: not item[0].startswith("tokenizer."), header.metadata.items()))


def _skimmed_capabilities(header: gguf.Header) -> list[str]:
    family, read = header.architecture, skimmed(header)
    found = [kind for kind in ("vision", "audio") if f"{family}.{kind}.block_count" in read]
    return [*found, "embedding" if f"{family}.pooling_type" in read else "completion"]


def _weights_capabilities(model: Installed, behaviour: Behaviour) -> list[str]:
    if model.header is None:
        return []
    found = ["embedding" if model.header.get("pooling_type") is not None else "completion"]
    found += ["vision"] if model.header.get("vision.block_count") is not None else []
    if behaviour.has(Capability.CAPABILITIES_INHERITED) and model.header.get("audio.block_count") is not None:
        found.append("audio")
    return found


def template_capabilities(text: str, behaviour: Behaviour) -> list[str]:
    """What a Go template shows a model to be able to do."""
    try:
        template = gotemplate.parsed(text)
    except gotemplate.TemplateError:
        return []
    variables = template.variables()
    found = [name for name, variable in (("tools", "tools"), ("insert", "suffix")) if variable in variables]
    if behaviour.has(Capability.THINKING) and all(template.thinking_tags()):
        found.append("thinking")
    return found


def _parser_capabilities(model: Installed, behaviour: Behaviour) -> list[str]:
    tools, thinking = behaviour.parser(model.config.parser)
    return (["tools"] if tools else []) + (["thinking"] if thinking else [])


def _chat_template_capabilities(text: str) -> list[str]:
    """What servers infer from the chat template inside a GGUF."""
    found = ["tools"] if "tools" in text or "tool_call" in text else []
    return found + (["thinking"] if "<think>" in text and "</think>" in text else [])


def _is_gptoss(model: Installed) -> bool:
    return model.config.model_family in {"gptoss", "gpt-oss"}


def _is_gptoss_since(model: Installed, behaviour: Behaviour) -> bool:
    return behaviour.has(Capability.THINK_LEVELS) and _is_gptoss(model)


def _uses_template(model: Installed) -> bool:
    return model.has_template and not model.prefers_chat_template


def renders_itself(model: Installed) -> bool:
    """Whether the server, not the runner, makes the prompt of a chat."""
    harmony = _is_gptoss(model) and "<|start|>" in model.template and "<|end|>" in model.template
    return bool(model.config.renderer or model.config.parser or harmony or _uses_template(model))


def _prefers_chat_template(model: Installed, behaviour: Behaviour) -> bool:
    if not (model.has_template and model.chat_template) or model.config.renderer or model.config.parser:
        return False
    own = _chat_template_capabilities(model.chat_template)
    return len(own) > len(template_capabilities(model.template, behaviour))


def missing_capabilities(model: Installed, wanted: list[str], behaviour: Behaviour) -> list[str]:
    """Those wanted capabilities that the server misses in the model. Before 0.6.4 unread weights pass for capable."""
    if behaviour.has(Capability.CAPABILITIES_IN_SHOW):
        found = capabilities(model, behaviour)
        return [name for name in wanted if name not in found]
    of_template = template_capabilities(model.template, behaviour)
    embeds = model.header is not None and model.header.get("pooling_type") is not None
    return [name for name in wanted if (embeds if name == "completion" else name not in of_template)]


def modelfile_of(model: Installed, store: Store) -> str:
    """The Modelfile that show renders, without its comment."""
    path = store.blobs.path
    commands = [Command("model", path(model.model) if model.model else "")]
    commands += [Command("adapter", path(digest)) for digest in model.adapters]
    commands += [Command("draft", path(model.draft))] if model.draft else []
    commands += [Command("model", path(digest)) for digest in model.projectors]
    commands.append(Command("template", model.template))
    commands += [Command("system", model.system)] if model.system else []
    if store.behaviour.has(Capability.RENDERER):
        commands += [Command("renderer", model.config.renderer)] if model.config.renderer else []
        commands += [Command("parser", model.config.parser)] if model.config.parser else []
    for key, value in model.options.items():
        items = value if isinstance(value, list) else [value]
        commands += [Command(key, shown(item)) for item in items]
    commands += [Command("license", text) for text in model.licenses]
    for message in model.messages:
        commands.append(Command("message", f"{message.get('role', '')}: {message.get('content', '')}"))
    return rendered(commands)
