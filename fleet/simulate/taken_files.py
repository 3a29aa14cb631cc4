"""Uploaded files as create takes them in, whatever they are: weights, adapters, drafts (`ollama-api.md` 7.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleet.simulate import safetensors, shards
from fleet.simulate.chat_templates import with_template
from fleet.simulate.events import Event, Failure, progress
from fleet.simulate.image import media_type
from fleet.simulate.imports import BAD_REQUESTS, ONE_ADAPTER, UNKNOWN_TYPE, ImportRefusedError, Part, imported, kind_of
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability

Shuffle = Callable[[list[str]], None]
"""Puts names in the order in which Go happens to find them in a map."""


class TakenFiles:
    """Takes files in for one create. What they are for is called by the kind of layer: `model`, `adapter`, `draft`."""

    def __init__(self, store: Store, shuffle: Shuffle) -> None:
        self._store = store
        self._behaviour = store.behaviour
        self._shuffle = shuffle

    def taken(self, files: Mapping[str, str], parts: list[Part], layer: str, base: Sequence[Part] = ()) -> list[Event]:
        """What is told of files, given as digests by name; their parts are added to `parts`. A failure comes last."""
        told: list[Event] = []
        try:
            match kind_of([(name, files[name]) for name in self._any_order(files)], self._store):
                case "safetensors":
                    self._converted(files, parts, layer, base, told)
                case "gguf" if len(files) > 1 and layer == "adapter":
                    raise ImportRefusedError(ONE_ADAPTER)
                case "gguf":
                    self._parsed(files, parts, layer, told)
                case _:
                    raise ImportRefusedError(UNKNOWN_TYPE)
        except (ValueError, OSError, RecursionError) as fault:
            told.append(Failure(str(fault), 400 if str(fault) in BAD_REQUESTS else None))
        return told

    def _any_order(self, files: Mapping[str, str]) -> list[str]:
        names = list(files)
        self._shuffle(names)
        return names

    def _parsed(self, files: Mapping[str, str], parts: list[Part], layer: str, told: list[Event]) -> None:
        """GGUFs: of several the order is chance until it is that of their names. Raises `ValueError`, `OSError`."""
        joined = self._behaviour.has(Capability.SPLIT_MERGED)
        in_order = self._behaviour.has(Capability.IMPORT_REWRITTEN)
        draft = media_type("draft") if layer == "draft" else ""
        found: list[Part] = []
        for name in sorted(files) if in_order else self._any_order(files):
            told.append(progress("parsing GGUF"))
            read = imported(self._store, files[name], name, draft)
            found += read if joined else with_template(self._store, read)
        if joined:
            found = shards.merged(found)
            found = found if draft else with_template(self._store, found)
        parts += found

    def _converted(
        self, files: Mapping[str, str], parts: list[Part], layer: str, base: Sequence[Part], told: list[Event]
    ) -> None:
        """Safetensors. Raises `ValueError`, `OSError`."""
        folder = safetensors.folder_of(self._store, files)
        if layer == "adapter":
            headers = [part.header for part in base if part.header]
            if not headers:
                raise ImportRefusedError("no base model was found")
            told.append(progress("converting adapter"))
            parts.append(safetensors.converted_adapter(self._store, folder, headers[0]))
            return
        told.append(progress("converting model"))
        if layer == "draft":
            safetensors.refuse_draft([part.header for part in base if part.header and part.layer.kind == "model"])
        part = safetensors.converted(self._store, folder)
        part.fresh = True
        parts += with_template(self._store, [part])
