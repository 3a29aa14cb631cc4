"""Create with fields (≥0.5.5): what it checks at once, and the work that follows (`ollama-api.md` 7.3 to 7.8)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from fleet.simulate.assembly import Assembly, TemplateRefusedError
from fleet.simulate.config import Config
from fleet.simulate.events import Event, Failure, Line, Worker, progress
from fleet.simulate.gojson import kind
from fleet.simulate.imports import ImportRefusedError, Part
from fleet.simulate.modelname import ConflictingMarkersError, Name, Reference
from fleet.simulate.store import Store
from fleet.simulate.taken_files import Shuffle, TakenFiles
from fleet.simulate.versions import Behaviour, Capability

Pull = Callable[[Name], Worker]
_CLOUD = "https://ollama.com:443"
_INT64 = 1 << 63
_FAULTS = (ValueError, OSError, RecursionError)
_DEFAULTS = {
    "gemma4": ("gemma4", "gemma4"),
    "laguna": ("laguna", "laguna"),
    "nemotron_h": ("nemotron-3-nano", "nemotron-3-nano"),
    "nemotron_h_moe": ("nemotron-3-nano", "nemotron-3-nano"),
    "nemotron_h_omni": ("nemotron-3-nano", "nemotron-3-nano"),
}
"""Architectures that bring a renderer and a parser of their own."""


def refusal(request: Mapping[str, Any], behaviour: Behaviour) -> str | None:
    """What is wrong with the request as such, before any work."""
    draft = request.get("draft_files") or {} if behaviour.has(Capability.DRAFT) else {}
    for name, digest in {**request.get("files", {}), **draft}.items():
        if behaviour.has(Capability.FILE_KEYS_RELATIVE) and not _relative(name):
            return "file path must be relative"
        if not digest and behaviour.has(Capability.EMPTY_DIGEST_REFUSED):
            return "invalid digest format"
    if behaviour.has(Capability.DRAFT) and request.get("draft_quantize") and not draft:
        return "--draft-quantize requires a DRAFT model"
    if behaviour.has(Capability.EMPTY_DIGEST_REFUSED) and not all(request.get("adapters", {}).values()):
        return "invalid digest format"
    return None


def _relative(name: str) -> bool:
    """Go's `fs.ValidPath`: slash-separated, no empty, `.` or `..` parts; `.` alone is the root."""
    return name == "." or all(part not in {"", ".", ".."} for part in name.split("/"))


class Creation:
    """One create."""

    def __init__(self, store: Store, pull: Pull, request: Mapping[str, Any], name: Name, shuffle: Shuffle) -> None:
        self._store = store
        self._files = TakenFiles(store, shuffle)
        self._behaviour = store.behaviour
        self._pull = pull
        self._request = dict(request)
        self._name = name
        self._config = Config()
        if self._behaviour.has(Capability.RENDERER):
            self._config.renderer = request.get("renderer", "")
            self._config.parser = request.get("parser", "")
        if self._behaviour.has(Capability.REQUIRES):
            self._config.requires = request.get("requires", "")

    async def work(self) -> AsyncIterator[Event]:
        """The stream of events. After some failures the work goes on, as it does on the server."""
        assembly = Assembly(self._store, self._config)
        parts: list[Part] = []
        events = self._from(assembly, parts) if self._request.get("from") else self._from_files(parts)
        async for event in events:
            yield event
            if isinstance(event, Failure) and not self._goes_on(event):
                return
        for event in self._additions(parts):
            yield event
            if isinstance(event, Failure):
                return
        if fault := self._info():
            yield Failure(fault, 400)
            return
        try:
            for line in self._assemble(assembly, parts):
                yield line
        except TemplateRefusedError as refused:
            yield Failure(str(refused), 400)
        except _FAULTS as failed:
            yield Failure(str(failed))
        else:
            yield progress("success")

    def _goes_on(self, failure: Failure) -> bool:
        # The server tells that the base cannot be had and then works on without it (`ollama-api.md` 7.7). Whoever
        # reads the stream decides whether that is ever reached: since 0.12.6 it is not.
        return bool(self._request.get("from")) and failure.status is None

    async def _from(self, assembly: Assembly, parts: list[Part]) -> AsyncIterator[Event]:
        try:
            base, source = self._base_name()
        except ConflictingMarkersError:
            base, source = Name.parse(""), ""
        if not base.valid:
            yield Failure("invalid model name", 400)
            return
        remote = self._request.get("remote_host", "") if self._behaviour.has(Capability.REMOTE) else ""
        if remote or source == "cloud":
            self._config.remote_model = Reference.parse(self._request["from"]).base if source else self._request["from"]
            self._config.remote_host = remote_url(remote) if remote else _CLOUD
            return
        try:
            if self._store.find(base) is None:
                async for event in self._pull(base):
                    yield event
                    if isinstance(event, Failure):
                        return
            parts += assembly.base(base)
            self._inherit(base)
        except _FAULTS as fault:
            yield Failure(str(fault))

    def _base_name(self) -> tuple[Name, str]:
        text = self._request["from"]
        if not self._behaviour.has(Capability.SOURCE_MARKERS):
            return Name.parse(text), ""
        reference = Reference.parse(text)
        return Name.parse(reference.base), reference.source

    def _inherit(self, base: Name) -> None:
        """What comes from the base's config, if not given."""
        if not self._behaviour.has(Capability.RENDERER_INHERITED):
            return
        _, manifest = self._store.get(base)
        content = self._store.blobs.find(manifest.config.digest) if manifest.config.digest else None
        if content is None:
            return
        inherited, config = Config.decoded(content.read(0, content.size)), self._config
        config.renderer = config.renderer or inherited.renderer
        config.parser = config.parser or inherited.parser
        if self._behaviour.has(Capability.REQUIRES):
            config.requires = config.requires or inherited.requires
        if self._behaviour.has(Capability.FORMAT_INHERITED):
            config.model_format = config.model_format or inherited.model_format
        if self._behaviour.has(Capability.CAPABILITIES_INHERITED):
            config.capabilities = config.capabilities or inherited.capabilities

    async def _from_files(self, parts: list[Part]) -> AsyncIterator[Event]:
        files = self._request.get("files")
        if files is None:
            yield Failure("neither 'from' or 'files' was specified", 400)
            return
        for event in self._files.taken(files, parts, "model"):
            yield event

    def _additions(self, parts: list[Part]) -> list[Event]:
        """Drafts and adapters are taken in like models, drafts first though they are kept last. All their faults
        are answered with 400.
        """
        drafts = self._request.get("draft_files") if self._behaviour.has(Capability.DRAFT) else None
        if self._config.remote_host:
            return [Failure("DRAFT cannot be used with remote models", 400)] if drafts else []
        told: list[Event] = []
        behind: list[Part] = []
        adapters = self._request.get("adapters")
        for layer, files, taken in (("draft", drafts, behind), ("adapter", adapters, parts)):
            if files is None:
                continue
            found = self._files.taken(files, taken, layer, list(parts))
            told += [Failure(event.text, 400) if isinstance(event, Failure) else event for event in found]
            if isinstance(told[-1], Failure):
                return told
        parts += behind
        return told

    def _info(self) -> str | None:
        """Lays `info` over the config; says what is wrong with it. Older servers die of a wrong type: there it is refused too."""
        info = self._request.get("info")
        if info is None or not self._behaviour.has(Capability.INFO):
            return None
        config = self._config
        if isinstance(info.get("capabilities"), list):
            config.capabilities += [item if isinstance(item, str) else "" for item in info["capabilities"]]
        texts = {"model_family": "", "base_name": "", "quantization_level": "", "parameter_size": ""}
        for key in texts:
            value = info.get(key, "")
            if not isinstance(value, str):
                return f'info field "{key}" must be a string'
            texts[key] = value
        numbers = {"context_length": 0, "embedding_length": 0}
        for key in numbers:
            value = info.get(key, 0.0)
            if isinstance(value, bool) or not isinstance(value, float):
                return f'info field "{key}" must be a number'
            if self._behaviour.has(Capability.INFO_CHECKED) and not (value == int(value) and 0 <= value <= _INT64):
                return f'info field "{key}" must be a non-negative integer'
            numbers[key] = int(value)
        config.model_family = texts["model_family"]
        if config.model_family:
            config.model_families = [config.model_family]
        config.base_name, config.file_type = texts["base_name"], texts["quantization_level"]
        config.model_type = texts["parameter_size"]
        config.context_length, config.embedding_length = numbers["context_length"], numbers["embedding_length"]
        return None

    def _assemble(self, assembly: Assembly, parts: list[Part]) -> Iterator[Line]:
        """All that follows once the parts are there, told as it is done. Raises `ValueError`, `OSError`."""
        request = self._request
        quantization = request.get("quantize") or request.get("quantization") or ""
        draft = request.get("draft_quantize") or "" if self._behaviour.has(Capability.DRAFT) else ""
        yield from assembly.add_parts(parts, quantization.upper(), draft.upper())
        parameters = dict(request.get("parameters") or {})
        self._default_for_architecture(parts, parameters)
        if request.get("template"):
            assembly.set_template(request["template"])
        if request.get("system"):
            assembly.set_system(request["system"])
        for text in _licenses(request.get("license")):
            assembly.add_text("license", text)
        assembly.set_parameters(parameters, keep_blob=False)
        assembly.set_messages(request.get("messages") or [], replacing=True)
        yield from assembly.finish(self._name, tell_config=False)

    def _default_for_architecture(self, parts: list[Part], parameters: dict[str, Any]) -> None:
        config = self._config
        for part in parts:
            family = part.header.architecture if part.header else ""
            newer = family != "gemma4"
            wanted = Capability.MORE_ARCHITECTURE_DEFAULTS if newer else Capability.ARCHITECTURE_DEFAULTS
            if family not in _DEFAULTS or not self._behaviour.has(wanted) or (config.renderer and config.parser):
                continue
            renderer, parser = _DEFAULTS[family]
            config.renderer, config.parser = config.renderer or renderer, config.parser or parser
            if family == "gemma4":
                parameters.setdefault("stop", ["<turn|>"])


def _licenses(given: Any) -> list[str]:
    """Licences as texts. Raises `ValueError` for anything else, in Go's words."""
    if given is None or given == "":
        return []
    if isinstance(given, str):
        return [given]
    name = "number" if isinstance(given, float) else kind(given)
    if not isinstance(given, list):
        raise ImportRefusedError(f"json: cannot unmarshal {name} into Go value of type []string")
    for item in given:
        if item is not None and not isinstance(item, str):
            name = "number" if isinstance(item, float) else kind(item)
            raise ImportRefusedError(f"json: cannot unmarshal {name} into Go value of type string")
    return [item or "" for item in given]


def remote_url(text: str) -> str:
    """The URL of a cloud stub's host: http and port 11434 unless it says otherwise."""
    if text.startswith("/"):
        return f"http://localhost:11434{text.rstrip('/')}"
    if text in {"ollama.com", "http://ollama.com"}:
        return _CLOUD
    scheme, _, rest = text.partition("://") if "://" in text else ("http", "", text)
    host, slash, path = rest.partition("/")
    host = host or "localhost"
    if not host.rpartition(":")[2].isdigit() or ":" not in host:
        host += ":11434"
    return f"{scheme}://{host}{slash}{path}".rstrip("/")
