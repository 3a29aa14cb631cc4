"""What the simulated registry holds: repositories with tags, image manifests and the blobs they may name.

The protocol over HTTP is in `registry_server`, uploads in `registry_uploads`, contents in `catalogue`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fleet.names import ModelName
from fleet.simulate.registry_content import Blob, UploadedBlob

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True, slots=True)
class Image:
    """An image manifest as it is served, and every blob that it names, by 64 hex digits."""

    manifest: bytes
    blobs: Mapping[str, Blob]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.manifest).hexdigest()


class UnknownInRegistryError(LookupError):
    """A name, digest or blob that the registry does not hold. The message says which."""


@dataclass(slots=True)
class Repository:
    """One `namespace/model`: its tags and what was stored under it."""

    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    offered: dict[str, Callable[[], Image]] = field(default_factory=dict)
    """Tags whose contents are generated when they are first asked for."""
    private: bool = False


class Registry:
    """Repositories are named by namespace and model alone: it stands for every registry host at once."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, Blob] = {}
        self._building = asyncio.Lock()

    def repository(self, name: str) -> Repository:
        """The repository `namespace/model`, made if it is new."""
        return self.repositories.setdefault(name, Repository())

    def offer(self, name: ModelName, build: Callable[[], Image], *, private: bool = False) -> None:
        """Puts a tag into the catalogue; `build` runs at the first request, in a thread: it may hash gigabytes."""
        repository = self.repository(repository_of(name))
        repository.offered[name.tag] = build
        repository.tags.pop(name.tag, None)
        repository.private = repository.private or private

    def add(self, name: ModelName, image: Image) -> str:
        """Stores an image under a tag and returns its digest, 64 hex digits."""
        repository = self.repository(repository_of(name))
        for digest, blob in image.blobs.items():
            self.blobs.setdefault(digest, blob)
            repository.blobs.add(digest)
        repository.manifests[image.digest] = image.manifest
        repository.tags[name.tag] = image.digest
        repository.offered.pop(name.tag, None)
        return image.digest

    async def manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """Digest and bytes of what a tag or a digest (`sha256:…`) names. Raises `UnknownInRegistryError`."""
        known = self.repositories.get(repository)
        if known is None:
            raise UnknownInRegistryError(f"repository name not known: {repository}")
        if reference in known.offered:
            await self._build(repository, known, reference)
        digest = reference.removeprefix("sha256:") if reference.startswith("sha256:") else known.tags.get(reference, "")
        if digest not in known.manifests:
            raise UnknownInRegistryError(f"manifest unknown: {repository}:{reference}")
        return digest, known.manifests[digest]

    async def _build(self, repository: str, known: Repository, tag: str) -> None:
        async with self._building:
            build = known.offered.get(tag)
            if build is not None:
                image = await asyncio.to_thread(build)
                if known.offered.get(tag) is build:
                    self.add(ModelName.parse(f"{repository}:{tag}"), image)

    def blob(self, repository: str, digest: str) -> Blob:
        """A blob that was stored under this repository. Raises `UnknownInRegistryError`."""
        known = self.repositories.get(repository)
        if known is None or digest not in known.blobs:
            raise UnknownInRegistryError(f"blob unknown to registry: {repository}@sha256:{digest}")
        return self.blobs[digest]

    def largest(self, manifest: bytes) -> tuple[str, int]:
        """Digest and size of the largest blob that an image manifest names."""
        size, digest = max((self.blobs[named].size, named) for named in blobs_of(manifest))
        return digest, size

    def mount(self, repository: str, digest: str) -> bool:
        """Makes a blob that any repository holds known to this one; False when none does."""
        if digest not in self.blobs:
            return False
        self.repository(repository).blobs.add(digest)
        return True

    def store_blob(self, repository: str, digest: str, blob: UploadedBlob) -> None:
        self.blobs.setdefault(digest, blob)
        self.repository(repository).blobs.add(digest)

    def store_manifest(self, repository: str, reference: str, body: bytes) -> str:
        """Takes an image manifest and returns its digest. Raises `ValueError` if it is none, `UnknownInRegistryError`
        for a blob that was not stored before.
        """
        known = self.repository(repository)
        digest = hashlib.sha256(body).hexdigest()
        for named in blobs_of(body):
            if named not in known.blobs:
                raise UnknownInRegistryError(f"blob unknown to registry: sha256:{named}")
        if reference.startswith("sha256:"):
            if reference != f"sha256:{digest}":
                raise ValueError("provided digest did not match uploaded content")
        else:
            known.tags[reference] = digest
            known.offered.pop(reference, None)
        known.manifests[digest] = body
        return digest

    async def move(self, name: ModelName, to: str) -> str:
        """Lets a tag stand for what another tag of the same repository, or `sha256:…` there, names now.

        Returns the new digest. Raises `UnknownInRegistryError`.
        """
        repository = repository_of(name)
        digest, _ = await self.manifest(repository, to)
        known = self.repositories[repository]
        known.tags[name.tag] = digest
        known.offered.pop(name.tag, None)
        return digest

    def withdraw(self, name: ModelName) -> None:
        """Takes a tag out of the registry. Raises `UnknownInRegistryError`."""
        known = self.repositories.get(repository_of(name), Repository())
        if known.tags.pop(name.tag, None) is None and known.offered.pop(name.tag, None) is None:
            raise UnknownInRegistryError(f"manifest unknown: {name}")

    async def state(self) -> dict[str, object]:
        """Names with digest and size of everything on offer, as JSON values."""
        models: dict[str, object] = {}
        for path, repository in sorted(self.repositories.items()):
            for tag in sorted({*repository.tags, *repository.offered}):
                digest, body = await self.manifest(path, tag)
                size = sum(self.blobs[named].size for named in blobs_of(body))
                models[str(ModelName.parse(f"{path}:{tag}"))] = {"digest": digest, "size": size}
        return {"models": models, "blobs": len(self.blobs)}


def repository_of(name: ModelName) -> str:
    """`namespace/model`, as it stands in the protocol's paths."""
    return f"{name.namespace}/{name.model}"


def blobs_of(manifest: bytes) -> list[str]:
    """The digests that an image manifest names, config last. Raises `ValueError` for anything else."""
    try:
        read = json.loads(manifest)
        named = [*read["layers"], read["config"]]
        return [str(part["digest"]).removeprefix("sha256:") for part in named]
    except (ValueError, KeyError, TypeError) as fault:
        raise ValueError("manifest invalid") from fault
