"""Create from a Modelfile (≤0.5.4): one instruction after the other (`ollama-api.md` 7.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from fleet.simulate.assembly import Assembly, TemplateRefusedError
from fleet.simulate.config import Config
from fleet.simulate.create import Pull
from fleet.simulate.events import Event, Failure, progress
from fleet.simulate.gotext import Float32
from fleet.simulate.imports import ImportRefusedError, Part, checked_header, content_type, layer_type
from fleet.simulate.modelfile import Command
from fleet.simulate.modelname import Name
from fleet.simulate.options import parameter, types
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability

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
            parts = [self._blob(command.value[1:])]
        else:
            if command.value in {"", "."}:
                raise ImportRefusedError("read .: is a directory")
            # Files on the server's own disk: a simulated host has none.
            raise ImportRefusedError(f"invalid model reference: {command.value}")
        for line in self._assembly.add_parts(parts, self._quantization):
            yield line

    def _blob(self, digest: str) -> Part:
        path = self._store.blobs.path(digest)
        if not digest:
            raise ImportRefusedError(f"read {path}: is a directory")
        content = self._store.blobs.open(digest)
        found = content_type(content)
        if found != "gguf":
            raise ImportRefusedError(f"unsupported content type: {found}")
        header = checked_header(content, self._behaviour)
        kind = layer_type(header, self._behaviour)
        if header.end == content.size and self._behaviour.has(Capability.IMPORT_NAMES_BLOB):
            return Part(self._store.layer_from(digest, kind, path), header)
        return Part(self._store.layer_of(content, digest, kind), header)

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
