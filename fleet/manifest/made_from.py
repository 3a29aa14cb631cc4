"""What a created model is made from: which names are files and which are models, and whether the files go together.

Pure. The files were looked into when the manifests were read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from fleet.manifest.faults import Faults, Misread, shown
from fleet.manifest.inventory import Place
from fleet.manifest.modelfile import Modelfile, beside
from fleet.manifest.reach import Hosts
from fleet.manifest.record import Given
from fleet.manifest.unsound import Trials, Unsound, unsound
from fleet.manifest.variants import Variant
from fleet.manifest.weights_set import WHOLE
from fleet.manifest.words import model_name
from fleet.manifest.written import At, FileWeights, Lying, Weights
from fleet.names import InvalidName, ModelName
from fleet.weights.local import LocalFile

_PATHS = (".gguf", ".safetensors", ".bin")
_LEFT_OUT = "servers would leave the files out without a word"


@dataclass(frozen=True, slots=True)
class Said:
    """A value of `create`, and the key that it is told under: its own, or `create.modelfile`."""

    value: Any
    place: Place
    key: str


class MadeFrom:
    """Finds what names stand for. With `only`, files that other hosts want need not be there."""

    def __init__(self, weights: Weights, faults: Faults, *, only: Hosts | None = None) -> None:
        self._weights = weights
        self._faults = faults
        self._only = only

    def named(
        self, variant: Variant, key: str, at: At, modelfile: Modelfile, replaced: Iterable[str]
    ) -> dict[str, Said]:
        """`from` or `files`, `adapters` and `drafts` of a Modelfile, but for those that fields replace.

        Raises `Unsound` after it told all that is wrong.
        """
        found: dict[str, Said] = {}
        trials = Trials()
        with trials:
            if not {"from", "files"} & set(replaced):
                found |= self._from_lines(variant, key, at, modelfile)
        for name, given in (("adapters", modelfile.adapter), ("drafts", modelfile.draft)):
            with trials:
                if given is not None and name not in replaced:
                    found[name] = self._beside(variant, Said((), given.place, key), at, given.value)
        trials.settle()
        return found

    def files(self, variant: Variant, key: str, said: Said) -> tuple[LocalFile, ...]:
        """The files of a field or of a Modelfile, sorted by key. Raises `Unsound` where they make no sense together."""
        found: list[LocalFile] = []
        trials = Trials()
        for one in said.value:
            with trials:
                found += (one,) if isinstance(one, LocalFile) else self._field(variant, said, one)
        trials.settle()
        try:
            WHOLE[key](found)
        except Misread as error:
            raise self._fault(variant, said, str(error), error.hint) from None
        return tuple(sorted(found, key=lambda file: file.key))

    def unreadable(self, variant: Variant, said: Said, written: str, why: Misread, hint: str | None = None) -> Unsound:
        """Tells that a file cannot be had, unless only hosts want it that are not meant now."""
        if self._only is not None and not variant.hosts & self._only:
            return Unsound()
        return self._fault(variant, said, f"{shown(written)}: {why}", hint or why.hint)

    def _from_lines(self, variant: Variant, key: str, at: At, modelfile: Modelfile) -> dict[str, Said]:
        """What exists beside the Modelfile is files, all else is the name of a model (`ollama-api.md` 7.9)."""
        names: list[Said] = []
        files: list[Said] = []
        trials = Trials()
        for given in modelfile.made_from:
            said = Said((), given.place, key)
            with trials:
                if self._weights.get((at[0], beside(at[1], given.value))) is None and not _looks_like_a_path(
                    given.value
                ):
                    names.append(replace(said, value=self._model(variant, said, given)))
                else:
                    files.append(self._beside(variant, said, at, given.value, hint=_not_a_file(given.value)))
        trials.settle()
        if names and files:
            both = f"`FROM` names the model `{names[-1].value}` and files as well"
            raise self._fault(variant, files[-1], both, _LEFT_OUT)
        if names:
            return {"from": names[-1]}
        return {"files": replace(files[0], value=tuple(one for each in files for one in each.value))} if files else {}

    def _model(self, variant: Variant, said: Said, given: Given[str]) -> ModelName:
        try:
            return model_name(given.value)
        except InvalidName as error:
            hint = "name the file itself: fleet uploads it" if given.value.startswith("@") else error.hint
            raise self._fault(variant, said, str(error), hint) from None

    def _field(self, variant: Variant, said: Said, file: FileWeights) -> tuple[LocalFile, ...]:
        said = replace(said, place=file.place)
        at = (file.folder, variant.paths[file])
        lying = self._lying(variant, said, at, at[1])
        if file.sha256 is None:
            return lying.files
        if lying.folder:
            hint = "name its files one by one, each with its own"
            raise self._fault(variant, said, f"{shown(at[1])}: a folder has no SHA-256", hint)
        return tuple(replace(one, sha256=file.sha256) for one in lying.files)

    def _beside(self, variant: Variant, said: Said, at: At, written: str, hint: str | None = None) -> Said:
        """What a Modelfile names, seen from its own folder."""
        return replace(said, value=self._lying(variant, said, (at[0], beside(at[1], written)), written, hint).files)

    def _lying(self, variant: Variant, said: Said, at: At, written: str, hint: str | None = None) -> Lying:
        """What lies where a path leads, named as it was written."""
        found = self._weights.get(at)
        if written.startswith("~"):
            found = Misread("`~` stands for nobody's home here", hint="write the path from the folder of this file")
        if isinstance(found, Lying):
            named = (replace(file, shown=_shown(file, found, written)) for file in found.files)
            return Lying(tuple(named), found.folder)
        raise self.unreadable(variant, said, written, found or Misread("there is no such file or folder"), hint)

    def _fault(self, variant: Variant, said: Said, text: str, hint: str | None = None) -> Unsound:
        return unsound(self._faults, variant, said.key, text, hint, place=said.place)


def _looks_like_a_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or text.lower().endswith(_PATHS)


def _not_a_file(written: str) -> str | None:
    """What `FROM` may have meant instead of a file, where the text tells."""
    if "/blobs/sha256" in written:
        return "a server has this file, as `ollama show --modelfile` prints it: name the model instead"
    try:
        name = model_name(written)
    except InvalidName:
        return None
    return f"a model of this name is written with its tag, `{written}:{name.tag}`"


def _shown(file: LocalFile, lying: Lying, written: str) -> str:
    return f"{written.rstrip('/')}/{file.key}" if lying.folder else written
