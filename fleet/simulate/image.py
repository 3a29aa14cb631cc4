"""Image manifests and the layers they list, as bytes and as values.

A host keeps the bytes: its digests are theirs. Go's encoding decides their form (`ollama-api.md` 4.1, 4.4).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.simulate.gotext import json_text

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_KIND = "application/vnd.ollama.image."
TENSOR = _KIND + "tensor"


class UnreadableError(ValueError):
    """JSON that is not what it should be. The text is the server's."""


def media_type(kind: str) -> str:
    """`model` → `application/vnd.ollama.image.model`."""
    return _KIND + kind


@dataclass(frozen=True, slots=True)
class Layer:
    """A content and what it is. `status` is what create says of it, and no part of the manifest."""

    media_type: str = ""
    digest: str = ""
    size: int = 0
    origin: str = ""
    name: str = ""
    status: str = field(default="", compare=False)

    @property
    def kind(self) -> str:
        return self.media_type.removeprefix(_KIND) if self.media_type.startswith(_KIND) else ""

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.origin:
            shown["from"] = self.origin
        if self.name:
            shown["name"] = self.name
        return shown


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """Config and layers. `layers` is none where the server wrote null."""

    config: Layer
    layers: Sequence[Layer] | None
    schema_version: int = 2
    media_type: str = MANIFEST_TYPE

    @property
    def all_layers(self) -> list[Layer]:
        """The layers and, where there is one, the config last: the order of pulls and pushes."""
        return [*(self.layers or ()), *([self.config] if self.config.digest else [])]

    @property
    def size(self) -> int:
        return sum(layer.size for layer in (*(self.layers or ()), self.config))

    def encoded(self, *, newline: bool) -> bytes:
        layers = None if self.layers is None else [layer.as_json() for layer in self.layers]
        body = {
            "schemaVersion": self.schema_version,
            "mediaType": self.media_type,
            "config": self.config.as_json(),
            "layers": layers,
        }
        return json_text(body, newline=newline)

    @classmethod
    def decoded(cls, raw: bytes) -> ImageManifest:
        """Reads what a registry or a host has; unknown keys are dropped. Raises `ValueError`."""
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise UnreadableError("json: cannot unmarshal value into Go value of type server.Manifest")
        layers = body.get("layers")
        return cls(
            _layer(body.get("config") or {}),
            None if layers is None else [_layer(layer) for layer in layers],
            int(body.get("schemaVersion") or 0),
            str(body.get("mediaType") or ""),
        )


def _layer(body: dict[str, Any]) -> Layer:
    return Layer(
        str(body.get("mediaType") or ""),
        str(body.get("digest") or ""),
        int(body.get("size") or 0),
        str(body.get("from") or ""),
        str(body.get("name") or ""),
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest file: its bytes, when it was written (nanoseconds since 1970), and what it says, if it can be read."""

    raw: bytes
    modified: int
    manifest: ImageManifest | None
    known_as: str = ""
    """The digest of what it stands for, where it stands for a file that exists elsewhere."""

    @classmethod
    def of(cls, raw: bytes, modified: int, known_as: str = "") -> Stored:
        try:
            manifest = ImageManifest.decoded(raw)
        except (ValueError, TypeError, AttributeError):
            manifest = None
        return cls(raw, modified, manifest, known_as)

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return self.known_as or hashlib.sha256(self.raw).hexdigest()
