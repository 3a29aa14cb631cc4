"""Makes created models of what an entry says in fields, in a Modelfile, or in both: fields stand above the Modelfile.

Pure. Files were read or looked into when the manifests were.
"""

from __future__ import annotations

from typing import Any

from fleet.manifest.faults import Faults, Misread
from fleet.manifest.item import Create
from fleet.manifest.made_from import MadeFrom, Said
from fleet.manifest.modelfile import Modelfile
from fleet.manifest.reach import Hosts
from fleet.manifest.unsound import Trials, Unsound, unsound
from fleet.manifest.variants import Variant, below
from fleet.manifest.weights_set import WHOLE
from fleet.manifest.written import At, FileModelfile, FileText, Loaded
from fleet.names import ModelName

_PLAIN = ("messages", "renderer", "parser", "requires", "quantize", "draft_quantize")
_TEXTS = ("system", "template")
_LEFT_OUT = "servers would leave the files out without a word"


class Creating:
    """Makes created models. With `only`, files that other hosts want need not be there."""

    def __init__(self, loaded: Loaded, faults: Faults, *, only: Hosts | None = None) -> None:
        self._loaded = loaded
        self._faults = faults
        self._from = MadeFrom(loaded.weights, faults, only=only)
        self._told: set[At] = set()

    def make(self, variant: Variant, name: ModelName) -> Create:
        """Raises `Unsound` after it told all that is wrong."""
        said = {
            key.removeprefix("create."): Said(given.value, given.place, key)
            for key, given in variant.gives.items()
            if key.startswith("create.")
        }
        file = said.pop("modelfile", None)
        trials = Trials()
        with trials:
            if file is not None:
                said = self._with_modelfile(variant, file, said)
            self._check(variant, name, said, file)
        values: dict[str, Any] = {key: said[key].value for key in _PLAIN if key in said}
        for key in (key for key in WHOLE if key in said):
            with trials:
                values[key] = self._from.files(variant, key, said[key])
        for key in (key for key in _TEXTS if key in said):
            with trials:
                values[key] = self._text(variant, said[key], said[key].value)
        with trials:
            if "license" in said:
                values["license"] = self._license(variant, said["license"])
        trials.settle()
        base = said.get("from")
        return Create(base=None if base is None else base.value, parameters=below(said, "parameters."), **values)

    def _check(self, variant: Variant, name: ModelName, said: dict[str, Said], modelfile: Said | None) -> None:
        """What must hold between fields."""
        base, files = said.get("from"), said.get("files")
        if base is not None and files is not None:
            raise self._fault(variant, files, "`from` and `files` exclude each other", _LEFT_OUT)
        if base is None and files is None:
            if modelfile is not None:
                text = "the Modelfile has no `FROM`, and neither `from` nor `files` stands beside it"
                raise self._fault(variant, modelfile, text)
            raise unsound(self._faults, variant, "create", "`from` or `files` is missing")
        if base is not None and base.value == name:
            raise self._fault(variant, base, f"`{name}` would be made from itself")
        if "draft_quantize" in said and "drafts" not in said:
            raise self._fault(variant, said["draft_quantize"], "there are no `drafts` to quantize")

    def _with_modelfile(self, variant: Variant, said: Said, fields: dict[str, Said]) -> dict[str, Said]:
        """What the Modelfile says, with what fields say in its place."""
        file: FileModelfile = said.value
        at = (file.folder, variant.paths[file])
        found = self._loaded.modelfiles[at]
        if isinstance(found, Misread):
            raise self._from.unreadable(variant, said, at[1], found)
        if found.faults:
            self._tell(variant, said, at, found)
            raise Unsound
        told = {key: Said(given.value, given.place, said.key) for key, given in found.fields.items()}
        return {**told, **self._from.named(variant, said.key, at, found, fields), **fields}

    def _tell(self, variant: Variant, said: Said, at: At, modelfile: Modelfile) -> None:
        """What is wrong with a Modelfile is told once, however many entries it serves."""
        for fault in () if at in self._told else modelfile.faults:
            self._faults.add(fault.place, f"{variant.entry.path}.{said.key}", fault.text, fault.hint)
        self._told.add(at)

    def _license(self, variant: Variant, said: Said) -> tuple[str, ...]:
        texts = tuple(self._text(variant, said, one) for one in said.value)
        for number, text in enumerate(texts, 1):
            if not text:
                # Nobody means it, and what a server makes of it could not be recognised.
                raise self._fault(variant, said, f"text {number} of {len(texts)} is empty")
        return texts

    def _text(self, variant: Variant, said: Said, value: str | FileText) -> str:
        if isinstance(value, str):
            return value
        path = variant.paths[value]
        text = self._loaded.texts[value.folder, path]
        if isinstance(text, Misread):
            raise self._from.unreadable(variant, said, path, text)
        return text

    def _fault(self, variant: Variant, said: Said, text: str, hint: str | None = None) -> Unsound:
        return unsound(self._faults, variant, said.key, text, hint, place=said.place)
