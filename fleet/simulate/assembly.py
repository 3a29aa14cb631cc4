"""The making of an image from parts: what both dialects of create share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.simulate import gguf, gotemplate
from fleet.simulate.config import Config
from fleet.simulate.events import Line, progress
from fleet.simulate.filetypes import name_of
from fleet.simulate.gotext import json_text, sorted_keys
from fleet.simulate.image import CONFIG_TYPE, ImageManifest, Layer, media_type
from fleet.simulate.imports import ImportRefusedError, Part
from fleet.simulate.installed import header_of
from fleet.simulate.modelname import Name
from fleet.simulate.shaping import Shaping
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability


class TemplateRefusedError(ValueError):
    """A bad template: the one fault of making an image that is answered with 400."""


class Assembly:
    """An image in the making."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.behaviour = store.behaviour
        self.config = config
        self.layers: list[Layer] | None = None
        self._with_header = {"model", "projector", "adapter"}
        if self.behaviour.has(Capability.DRAFT):
            self._with_header.add("draft")

    def base(self, name: Name) -> list[Part]:
        """The parts of an installed model. Raises `FileNotFoundError`, `ValueError`."""
        _, manifest = self.store.get(name)
        parts = []
        for layer in manifest.layers or ():
            taken = self.store.layer_from(layer.digest, layer.media_type, str(name))
            header = None
            if layer.kind in self._with_header:
                try:
                    header = header_of(self.store.blobs.open(layer.digest))
                except gguf.GgufError as fault:
                    raise ImportRefusedError(str(fault)) from None
            parts.append(Part(taken, header))
        return parts

    def add_parts(self, parts: Sequence[Part], quantization: str, draft_quantization: str = "") -> Iterator[Line]:
        """Adds layers with weights, quantized or rewritten where that is due. Raises `ValueError`, `OSError`."""
        for part in parts:
            if part.header is not None:
                yield from Shaping(self.store, part).shaped({"model": quantization, "draft": draft_quantization})
                self._describe(part)
            self.layers = [*(self.layers or ()), part.layer]

    def _describe(self, part: Part) -> None:
        """What the config tells of the weights; the first part counts, all give their family."""
        header, config = part.header, self.config
        if header is None:
            return
        if part.layer.kind == "draft":
            config.draft = {"model_format": "gguf", "architecture": header.architecture}
        if self.behaviour.has(Capability.IMPORT_REWRITTEN) and part.layer.kind != "model":
            return
        config.model_format = config.model_format or "gguf"
        config.model_family = config.model_family or header.architecture
        config.model_type = config.model_type or human_number(header.parameters)
        config.file_type = config.file_type or name_of(header.file_type, self.behaviour)
        config.model_families = [*(config.model_families or ()), header.architecture]

    def set_template(self, text: str) -> None:
        """Raises `TemplateRefusedError`."""
        try:
            gotemplate.Template(text)
        except gotemplate.TemplateError as fault:
            raise TemplateRefusedError(f"template error: {fault}") from None
        self._remove("template")
        self.add_text("template", text)

    def set_system(self, text: str) -> None:
        self._remove("system")
        self.add_text("system", text)

    def add_text(self, kind: str, text: str) -> None:
        self._add(self.store.layer(text.encode("utf-8", "replace"), media_type(kind)))

    def set_messages(self, messages: Sequence[Mapping[str, Any]], *, replacing: bool) -> None:
        """Adds messages, if there are any."""
        if messages:
            if replacing:
                self._remove("messages")
            self._add(self.store.layer(json_text(list(messages), newline=True), media_type("messages")))

    def set_parameters(self, parameters: Mapping[str, Any], *, keep_blob: bool) -> None:
        """Lays parameters over the inherited ones. `keep_blob` leaves the replaced blob where it is."""
        merged_parameters = dict(parameters)
        for layer in self.layers or ():
            if layer.kind == "params":
                for key, value in (json.loads(self.store.blobs.read(layer.digest)) or {}).items():
                    merged_parameters.setdefault(key, float(value) if type(value) is int else value)
        if not merged_parameters:
            return
        if keep_blob:
            self.layers = [layer for layer in self.layers or () if layer.kind != "params"]
        else:
            self._remove("params")
        self._add(self.store.layer(json_text(sorted_keys(merged_parameters), newline=True), media_type("params")))

    def _add(self, layer: Layer) -> None:
        self.layers = [*(self.layers or ()), layer]

    def _remove(self, kind: str) -> None:
        if self.layers is not None:
            self.layers = self.store.without(self.layers, media_type(kind))

    def finish(self, name: Name, *, tell_config: bool) -> Iterator[Line]:
        """Writes config and manifest, telling the layers; what the name stood for before is cleaned up."""
        layers = self.layers or []
        config = self.store.layer(self.config.encoded(layers, self.behaviour), CONFIG_TYPE)
        for layer in [*layers, config] if tell_config else layers:
            yield progress(layer.status)
        old = self.store.find(name)
        yield progress("writing manifest")
        manifest = ImageManifest(config, self.layers)
        self.store.write(name, manifest.encoded(newline=True))
        if old and old.manifest and not self.store.noprune:
            self.store.remove_unused(old.manifest.all_layers)


def human_number(count: int) -> str:
    """A number of parameters as servers show it: `8.0B` is `8B`, `122176` is `122K`."""
    for unit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2)):
        if count >= unit:
            number = count / unit
            return f"{number:.0f}{letter}" if number == int(number) else f"{number:.{digits}f}{letter}"
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)
