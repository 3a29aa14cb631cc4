"""Create from a Modelfile (≤0.5.4): one instruction after the other (`ollama-api.md` 7.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from fleet.simulate.assembly import Assembly, TemplateRefusedError
from fleet.simulate.blobs import Content
from fleet.simulate.chat_templates import with_template
from fleet.simulate.config import Config
from fleet.simulate.create import Pull
from fleet.simulate.events import Event, Failure, Line, progress
from fleet.simulate.gotext import Float32
from fleet.simulate.imports import ImportRefusedError, Part, content_type, models_in
from fleet.simulate.modelfile import Command
from fleet.simulate.modelname import Name
from fleet.simulate.options import parameter, types
from fleet.simulate.safetensors import converted, converted_adapter
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability
from fleet.simulate.zipped import unzipped

_FAULTS = (ValueError, OSError, RecursionError)


class ModelfileCreation:
    """One create."""

    def __init__(self, store: Store, pull: Pull, commands: Sequence[Command], name: Name, quantization: str) -> None:
        self._store = store
        self._behaviour = store.behaviour
        self._pull = pull
        self._commands = commands
        self._name = name
        self._quantization = quantization.upper()
        self._assembly = Assembly(store, Config())
        self._parameters: dict[str, Any] = {}
        self._messages: list[dict[str, str]] = []
        self._latest: list[Part] = []
        """What the instruction before brought: the base of an adapter."""

    async def work(self) -> AsyncIterator[Event]:
        """The stream of events; it ends at the first failure."""
        try:
            for command in self._commands:
                if command.name in {"model", "adapter"}:
                    async for event in self._weights(command):
                        yield event
                        if isinstance(event, Failure):
                            return
                else:
                    self._text(command)
            self._assembly.set_messages(self._messages, replacing=False)
            self._assembly.set_parameters(self._parameters, keep_blob=True)
            for line in self._assembly.finish(self._name, tell_config=True):
                yield line
        except TemplateRefusedError as refused:
            yield Failure(str(refused), 400)
        except _FAULTS as fault:
            yield Failure(str(fault))
        else:
            yield progress("success")

    async def _weights(self, command: Command) -> AsyncIterator[Event]:
        base = Name.parse(command.value)
        named = command.name == "model" or self._behaviour.has(Capability.ADAPTER_MAY_BE_NAME)
        if base.valid and named:
            base = self._store.canonical(base, Capability.CASE_FOLDED_ON_WRITE)
            if self._store.find(base) is None:
                async for event in self._pull(base):
                    yield event
                    if isinstance(event, Failure):
                        return
            parts = self._assembly.base(base)
        elif command.value.startswith("@"):
            parts = []
            for line in self._blob(command.value[1:], command.name, parts):
                yield line
        else:
            if command.value in {"", "."}:
                raise ImportRefusedError("read .: is a directory")
            # Files on the server's own disk: a simulated host has none.
            raise ImportRefusedError(f"invalid model reference: {command.value}")
        self._latest = parts
        for line in self._assembly.add_parts(parts, self._quantization):
            yield line

    def _blob(self, digest: str, command: str, parts: list[Part]) -> Iterator[Line]:
        """Adds the parts of an uploaded file. Raises `ValueError`, `OSError`."""
        if self._store.knows_converted(digest):
            digest = self._store.converted[digest]
            yield progress(f"using cached layer {digest}")
        path = self._store.blobs.path(digest)
        if not digest:
            raise ImportRefusedError(f"read {path}: is a directory")
        content = self._store.blobs.open(digest)
        found = content_type(content)
        if found == "application/zip":
            yield progress("converting model")
            if not self._behaviour.has(Capability.ADAPTERS_BY_TYPE):
                yield progress("converting model")
                command = "model"
            part = self._unzipped(content, command)
            self._store.converted[digest] = part.layer.digest
            parts += with_template(self._store, [part])
        elif found == "gguf":
            parts += with_template(self._store, models_in(self._store, content, digest, path))
        else:
            raise ImportRefusedError(f"unsupported content type: {found}")

    def _unzipped(self, content: Content, command: str) -> Part:
        """A zip of safetensors as a layer. Raises `ImportRefusedError`."""
        folder = unzipped(content)
        if command == "model":
            return converted(self._store, folder)
        base = next((part.header for part in self._latest if part.header), None)
        if base is None:
            raise ImportRefusedError("no base model specified for the adapter")
        return converted_adapter(self._store, folder, base)

    def _text(self, command: Command) -> None:
        """Any other instruction. Raises `TemplateRefusedError`, `OptionError`."""
        match command.name:
            case "license":
                self._assembly.add_text("license", command.value)
            case "template":
                self._assembly.set_template(command.value)
            case "system":
                self._assembly.set_system(command.value)
            case "message":
                role, _, content = command.value.partition(": ")
                self._messages.append({"role": role, "content": content})
            case _:
                value = parameter(command.name, command.value, self._behaviour)
                if types(self._behaviour)[command.name] == "float":
                    value = Float32(value)
                if isinstance(value, list):
                    value = [*self._parameters.get(command.name, []), *value]
                self._parameters[command.name] = value
