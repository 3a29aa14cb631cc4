"""The models folder of a simulated host: manifest files by name, blobs by digest, and what belongs to what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fleet.simulate.blobs import Blobs, Content, Held, digest_of
from fleet.simulate.elsewhere import Elsewhere
from fleet.simulate.image import ImageManifest, Layer, Stored
from fleet.simulate.modelname import Name
from fleet.simulate.versions import Behaviour, Capability

_HOUR = 3600 * 10**9


class CorruptManifestError(ValueError):
    """A manifest file that cannot be read. The text is the server's."""


class Store:
    """Names, manifests and blobs. `clock` gives nanoseconds since 1970, `elsewhere` what need not be moved to be here."""

    def __init__(
        self,
        behaviour: Behaviour,
        folder: str,
        *,
        disk: int | None,
        noprune: bool,
        clock: Callable[[], int],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.folder = folder
        self.noprune = noprune
        self.blobs = Blobs(f"{folder}/blobs", disk, clock)
        self.clock = clock
        self.elsewhere = elsewhere or Elsewhere()
        self.converted: dict[str, str] = {}
        """What zips of safetensors were converted to since the server started, by their digests (≤0.5.4)."""
        self._files: dict[Name, Stored] = {}

    def names(self) -> list[Name]:
        """The names that can be read: those of corrupt manifests are invisible."""
        return [name for name, stored in self._files.items() if stored.manifest]

    def corrupt(self) -> list[Name]:
        return [name for name, stored in self._files.items() if not stored.manifest]

    def canonical(self, name: Name, capability: Capability) -> Name:
        """The name in the spelling of installed ones, where the version has this capability."""
        return name.folded(self.names()) if self.behaviour.has(capability) else name

    def conflict(self, name: Name) -> bool:
        """Whether another name differs from this one in case alone, and the version minds."""
        if not self.behaviour.has(Capability.CASE_CONFLICTS_REFUSED):
            return False
        return any(other != name and other.path.lower() == name.path.lower() for other in self.names())

    def path(self, name: Name) -> str:
        return f"{self.folder}/manifests/{name.path}"

    def find(self, name: Name) -> Stored | None:
        return self._files.get(name)

    def get(self, name: Name) -> tuple[Stored, ImageManifest]:
        """Raises `FileNotFoundError` with the server's text, `CorruptManifestError`."""
        stored = self._files.get(name)
        if stored is None:
            raise FileNotFoundError(f"open {self.path(name)}: no such file or directory")
        if stored.manifest is None:
            raise CorruptManifestError("EOF" if not stored.raw.strip() else "unexpected EOF")
        return stored, stored.manifest

    def listed(self) -> list[tuple[Name, Stored, ImageManifest]]:
        return [(name, stored, stored.manifest) for name, stored in self._files.items() if stored.manifest]

    def write(self, name: Name, raw: bytes, modified: int | None = None) -> Stored:
        """Writes a manifest file anew, over any that is there."""
        self._files.pop(name, None)
        written = self.clock() if modified is None else modified
        stored = self._files[name] = Stored.of(raw, written, self.elsewhere.digest_of(raw))
        return stored

    def copy(self, source: Name, destination: Name) -> None:
        """Raises `FileNotFoundError`. A model copied onto itself is not even looked at."""
        if source != destination:
            stored = self._files.get(source)
            if stored is None:
                raise FileNotFoundError(f"open {self.path(source)}: no such file or directory")
            self.write(destination, stored.raw)

    def delete(self, name: Name) -> None:
        """Removes a manifest file and the blobs that only it uses."""
        _, manifest = self.get(name)
        del self._files[name]
        self.remove_unused(manifest.all_layers)

    def unlink(self, name: Name) -> bool:
        """Removes a manifest file alone; says whether there was one."""
        return self._files.pop(name, None) is not None

    def layer(self, content: bytes, media_type: str) -> Layer:
        """A layer of this content, new or known. Raises `NoSpaceError`."""
        return self.layer_of(Held(content), digest_of(content), media_type)

    def layer_of(self, content: Content, digest: str, media_type: str) -> Layer:
        new = self.blobs.add(content, digest)
        if not new:
            self.blobs.touch(digest)
        status = f"{'creating new layer' if new else 'using existing layer'} {digest}"
        return Layer(media_type, digest, content.size, status=status)

    def layer_from(self, digest: str, media_type: str, origin: str) -> Layer:
        """A layer of a content that is there, with where it came from. Raises `FileNotFoundError`."""
        path = self.blobs.path(digest)
        content = self.blobs.find(digest)
        if content is None:
            raise FileNotFoundError(f"stat {path}: no such file or directory")
        self.blobs.touch(digest)
        return Layer(media_type, digest, content.size, origin, status=f"using existing layer {digest}")

    def knows_converted(self, digest: str) -> bool:
        """Whether this is a zip whose conversion is there: the server wants no other copy of it."""
        made = self.converted.get(digest)
        if made is not None and self.blobs.find(made) is None:
            del self.converted[digest]
            return False
        return made is not None

    def orphans(self) -> dict[str, int]:
        """The blobs that no manifest refers to, with their sizes: uploads not used yet, and what others left behind."""
        used = self.used()
        return {digest: blob.content.size for digest, blob in self.blobs if digest not in used}

    def used(self) -> set[str]:
        """The digests that manifests refer to."""
        return {layer.digest for _, _, manifest in self.listed() for layer in manifest.all_layers}

    def remove_unused(self, layers: Iterable[Layer]) -> None:
        """Removes those blobs of these layers that no manifest refers to."""
        used = self.used()
        for layer in layers:
            if layer.digest not in used:
                self.blobs.remove(layer.digest)

    def without(self, layers: Sequence[Layer], media_type: str) -> list[Layer]:
        """The layers but those of one kind, whose blobs go where nothing else uses them."""
        self.remove_unused(layer for layer in layers if layer.media_type == media_type)
        return [layer for layer in layers if layer.media_type != media_type]

    def restarted(self, idle: float = 0.0) -> None:
        """What a start of the server cleans up (`ollama-api.md` 6.1), after it was down for `idle` seconds."""
        self.converted.clear()
        if self.noprune or (self.behaviour.has(Capability.CORRUPT_MANIFEST_SKIPPED) and self.corrupt()):
            return
        spares = self.behaviour.has(Capability.PRUNE_SPARES_YOUNG)
        self.prune(self.clock() + int(idle * 10**9) - _HOUR if spares else None)

    def prune(self, until: int | None = None) -> None:
        """Removes the blobs that no manifest refers to, and unfinished downloads: all, or those untouched since `until`."""
        used = self.used()
        for digest, blob in self.blobs:
            if digest not in used and (until is None or blob.touched <= until):
                self.blobs.remove(digest)
        self.blobs.drop_partials(until)
