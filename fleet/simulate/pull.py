"""Pull: manifest, layers, verification, and what it replaces (`ollama-api.md` 10.1 to 10.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from fleet.simulate import gojson
from fleet.simulate.download import Downloads
from fleet.simulate.events import Event, Failure, progress
from fleet.simulate.image import MANIFEST_TYPE, TENSOR, ImageManifest, Layer
from fleet.simulate.modelname import Name
from fleet.simulate.remote import Registry, Remote, RemoteError
from fleet.simulate.store import CorruptManifestError, Store
from fleet.simulate.versions import Capability


class Puller:
    """Pulls for one host."""

    def __init__(self, store: Store, remote: Remote, downloads: Downloads) -> None:
        self._store = store
        self._behaviour = store.behaviour
        self._remote = remote
        self._downloads = downloads

    async def pull(self, name: Name, *, insecure: bool = False) -> AsyncIterator[Event]:
        """The stream of events; it ends at the first failure."""
        try:
            async with self._remote.connect(name.host, insecure=insecure) as registry:
                async for event in self._pulled(registry, name, insecure=insecure):
                    yield event
        except (RemoteError, OSError, ValueError) as fault:
            yield Failure(str(fault))

    async def _pulled(self, registry: Registry, name: Name, *, insecure: bool) -> AsyncIterator[Event]:
        old = self._old_layers(name)
        yield progress("pulling manifest")
        raw, manifest = await self._manifest(registry, name)
        tensors = any(layer.media_type == TENSOR for layer in manifest.layers or ())
        if tensors and self._behaviour.has(Capability.TENSOR_MODELS_REFUSED):
            raise RemoteError("this model requires MLX support, but the MLX runtime is not available")
        known = {layer.digest for layer in manifest.all_layers if self._store.blobs.find(layer.digest)}
        if tensors and self._behaviour.has(Capability.TENSOR_MODELS):
            async for event in self._together(registry, name, manifest.all_layers, insecure=insecure):
                yield event
        else:
            for layer in manifest.all_layers:
                fetched = self._downloads.fetch(registry, name.repository, layer.digest, insecure=insecure)
                async for line in fetched:
                    yield line
            yield progress("verifying sha256 digest")
        for layer in manifest.all_layers:
            if layer.digest not in known:
                self._verify(layer.digest)
        yield progress("writing manifest")
        self._store.write(name, raw)
        replaced = [layer for layer in old if layer.digest not in {kept.digest for kept in manifest.all_layers}]
        if self._behaviour.has(Capability.PULL_ALWAYS_TELLS_PRUNE):
            yield progress("removing any unused layers")
        elif replaced:
            yield progress("removing unused layers")
        self._store.remove_unused(replaced)
        yield progress("success")

    def _old_layers(self, name: Name) -> list[Layer]:
        """What the name stands for now, as far as it may go afterwards."""
        if self._store.noprune or self._store.find(name) is None:
            return []
        try:
            _, manifest = self._store.get(name)
        except CorruptManifestError:
            if self._behaviour.has(Capability.CORRUPT_MANIFEST_SKIPPED):
                return []
            raise
        return manifest.all_layers

    async def _manifest(self, registry: Registry, name: Name) -> tuple[bytes, ImageManifest]:
        """The bytes to keep, and what they say. Raises `RemoteError`."""
        url = registry.url(f"/v2/{name.repository}/manifests/{name.tag}")
        try:
            response = await registry.request("GET", url, headers={"Accept": MANIFEST_TYPE})
            gojson.read(response.content)
            manifest = ImageManifest.decoded(response.content)
        except gojson.EmptyBodyError:
            whole = self._behaviour.has(Capability.PULL_KEEPS_BYTES)
            raise RemoteError(f"pull model manifest: {'unexpected end of JSON input' if whole else 'EOF'}") from None
        except (RemoteError, gojson.JsonError, ValueError, TypeError, AttributeError) as fault:
            raise RemoteError(f"pull model manifest: {fault}") from None
        if self._behaviour.has(Capability.PULL_KEEPS_BYTES):
            return response.content, manifest
        if not self._behaviour.has(Capability.LAYER_NAMES) and manifest.layers is not None:
            manifest = replace(manifest, layers=[replace(layer, name="") for layer in manifest.layers])
        return manifest.encoded(newline=False), manifest

    async def _together(
        self, registry: Registry, name: Name, layers: list[Layer], *, insecure: bool
    ) -> AsyncIterator[Event]:
        """The layers of a tensor model, told as one."""
        total, done = sum(layer.size for layer in layers), 0
        for layer in layers:
            async for line in self._downloads.fetch(registry, name.repository, layer.digest, insecure=insecure):
                now = done + line.get("completed", 0)
                yield progress("pulling model", digest="sha256:model", total=total, completed=now)
            done += layer.size

    def _verify(self, digest: str) -> None:
        """Raises `RemoteError` for a blob that is not what it was said to be, and removes it."""
        actual = self._downloads.actual.pop(digest, digest)
        if actual != digest:
            self._store.blobs.remove(digest)
            raise RemoteError(f"digest mismatch, file must be downloaded again: want {digest}, got {actual}")
