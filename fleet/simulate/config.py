"""The config blob of an image: what a server writes into it by version, and reads from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.simulate.gotext import json_text
from fleet.simulate.image import Layer, UnreadableError
from fleet.simulate.versions import Behaviour, Capability


@dataclass(slots=True)
class Config:
    """Fields of the config. Empty ones of the second group are left out."""

    model_format: str = ""
    model_family: str = ""
    model_families: list[str] | None = None
    model_type: str = ""
    file_type: str = ""

    renderer: str = ""
    parser: str = ""
    requires: str = ""
    remote_host: str = ""
    remote_model: str = ""
    capabilities: list[str] = field(default_factory=list)
    context_length: int = 0
    embedding_length: int = 0
    base_name: str = ""
    draft: dict[str, str] = field(default_factory=dict)

    def encoded(self, layers: Sequence[Layer], behaviour: Behaviour) -> bytes:
        """The blob: Go's JSON with a newline. Older servers list the layers' digests in it."""
        body: dict[str, Any] = {
            "model_format": self.model_format,
            "model_family": self.model_family,
            "model_families": self.model_families,
            "model_type": self.model_type,
            "file_type": self.file_type,
        }
        optional = {
            "renderer": self.renderer,
            "parser": self.parser,
            "requires": self.requires,
            "remote_host": self.remote_host,
            "remote_model": self.remote_model,
            "capabilities": self.capabilities,
            "context_length": self.context_length,
            "embedding_length": self.embedding_length,
            "base_name": self.base_name,
            "draft": self.draft,
        }
        body |= {key: value for key, value in optional.items() if value}
        body |= {"architecture": "amd64", "os": "linux"}
        if behaviour.has(Capability.CONFIG_WITH_ROOTFS):
            body["rootfs"] = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
        return json_text(body, newline=True)

    @classmethod
    def decoded(cls, raw: bytes) -> Config:
        """Reads a config blob; what is missing or of a wrong type is empty. Raises `ValueError` if it is no object."""
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise UnreadableError("json: cannot unmarshal value into Go value of type server.ConfigV2")
        families = body.get("model_families")
        return cls(
            **{
                key: body[key]
                for key in ("model_format", "model_family", "model_type", "file_type", "renderer", "parser", "requires")
                if isinstance(body.get(key), str)
            },
            model_families=list(map(str, families)) if isinstance(families, list) else None,
            remote_host=str(body.get("remote_host") or ""),
            remote_model=str(body.get("remote_model") or ""),
            capabilities=[str(item) for item in body.get("capabilities") or []],
            context_length=int(body.get("context_length") or 0),
            embedding_length=int(body.get("embedding_length") or 0),
            base_name=str(body.get("base_name") or ""),
            draft=dict(body.get("draft") or {}),
        )
