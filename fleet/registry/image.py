"""Image manifests as registries serve them, and the digests under which hosts list the models that they describe.

Pure. Servers from 0.19.0 on keep a manifest byte for byte; older ones read it and write it anew as Go does, so that one
model has two digests (`ollama-api.md` 4.2, 16). A host that created and pushed a model lists a third (4.4).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Never

from fleet.codes import Code
from fleet.errors import ExitCode, FleetError
from fleet.names import Digest

MOST_BYTES = 4 << 20
"""Of an image manifest: what registries themselves allow."""
MOST_LAYERS = 20_000
"""Models of single tensors have some thousands."""
_LARGEST = 1 << 50
"""Bytes of one layer; a thousand times the largest model there is."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MEDIA_TYPE = re.compile(r"[\x21-\x7e]{0,255}\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INDEXES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    }
)
_AS_GO = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class NoImage(FleetError):
    """What a registry served is no image manifest of a model."""

    exit_code = ExitCode.PARTIAL


@dataclass(frozen=True, slots=True)
class Layer:
    """One content that an image manifest names, with its bytes."""

    digest: Digest
    size: int
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """One image manifest: what a model is made of, and what its digest is on hosts."""

    raw: Digest
    """Of the body as it was served: what servers from 0.19.0 on list after a pull."""
    normalised: Digest
    """Of the body as Go writes it: what older servers list after a pull, and all servers publish by a push."""
    created: Digest
    """Of the same with a newline at its end: what the host lists that created the model and pushed it."""
    config: Layer
    layers: tuple[Layer, ...]

    @property
    def digests(self) -> frozenset[Digest]:
        """The two forms in which a pulled model may be listed."""
        return frozenset({self.raw, self.normalised})

    @property
    def blobs(self) -> tuple[Layer, ...]:
        """What a pull downloads, each content once, the config last as servers do it."""
        return tuple({layer.digest: layer for layer in (*self.layers, self.config)}.values())

    @property
    def size(self) -> int:
        """Bytes as a host's listing counts them: all layers and the config, a repeated one repeatedly."""
        return sum(layer.size for layer in self.layers) + self.config.size


def read(body: bytes) -> Image:
    """Reads what was served as an image manifest. Raises `NoImage` for anything that is none, or past its limits."""
    if len(body) > MOST_BYTES:
        raise _no_image(f"it has more than {MOST_BYTES >> 20} MiB")
    manifest = _decoded(body)
    media_type = _text(manifest, "mediaType", "")
    if media_type in _INDEXES or (manifest.get("manifests") is not None and manifest.get("layers") is None):
        raise _no_image("it is an index of several images, and no model")
    if _number(manifest, "schemaVersion", "") != 2:
        raise _no_image("`schemaVersion` is not 2")
    config = manifest.get("config")
    if not isinstance(config, _Object):
        raise _no_image("`config` is no object")
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not layers:
        raise _no_image("`layers` is no list of layers")
    if len(layers) > MOST_LAYERS:
        raise _no_image(f"it has more than {MOST_LAYERS:,} layers")
    parts = [_part(layer, f"layers[{number}]") for number, layer in enumerate(layers)]
    own = _part(config, "config")
    normalised = _as_go({"schemaVersion": 2, "mediaType": media_type, "config": own, "layers": parts})
    return Image(
        raw=_hash(body),
        normalised=_hash(normalised),
        created=_hash(normalised + b"\n"),
        config=_layer(own),
        layers=tuple(_layer(part) for part in parts),
    )


class _Object:
    """A JSON object whose keys are found as Go finds them: in any letter case. A key that counts is there once."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self._pairs = pairs

    def get(self, key: str) -> Any:
        """The value, nothing where there is none; raises `NoImage` where there are two: readers differ in which counts."""
        found = [value for name, value in self._pairs if name.casefold() == key.casefold()]
        if len(found) > 1:
            raise _no_image(f"`{key}` is there twice")
        return found[0] if found else None


def _decoded(body: bytes) -> _Object:
    try:
        # What is nested too deeply ends in a `RecursionError`; what is not is never followed into its depth.
        read = json.loads(body.decode(), object_pairs_hook=_Object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _no_image("it is no JSON") from None
    if not isinstance(read, _Object):
        raise _no_image("it is no JSON object")
    return read


def _refuse(constant: str) -> Never:
    raise ValueError(constant)


def _part(value: Any, where: str) -> dict[str, Any]:
    """One content as Go writes it: its keys in their order, `from` and `name` only where they say something."""
    if not isinstance(value, _Object):
        raise _no_image(f"`{where}` is no object")
    digest = _text(value, "digest", where)
    if not _DIGEST.match(digest):
        raise _no_image(f"`{where}.digest` is no digest")
    size = _number(value, "size", where)
    if not 0 <= size <= _LARGEST:
        raise _no_image(f"`{where}.size` is no size")
    media_type = _text(value, "mediaType", where)
    if not _MEDIA_TYPE.match(media_type):
        raise _no_image(f"`{where}.mediaType` is none")
    optional = {key: _text(value, key, where) for key in ("from", "name")}
    part: dict[str, Any] = {"mediaType": media_type, "digest": digest, "size": size}
    return part | {key: text for key, text in optional.items() if text}


def _text(value: _Object, key: str, where: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _no_image(f"`{where}.{key}` is no text".replace("`.", "`"))
    # Go has no half of a pair and keeps the mark for what cannot be read.
    return _SURROGATE.sub("\ufffd", found)


def _number(value: _Object, key: str, where: str) -> int:
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int):
        raise _no_image(f"`{where}.{key}` is no whole number".replace("`.", "`"))
    return found


def _layer(part: dict[str, Any]) -> Layer:
    return Layer(Digest.parse(part["digest"]), part["size"], part["mediaType"])


def _as_go(value: dict[str, Any]) -> bytes:
    """What `json.Marshal` writes: the characters that it escapes stand in texts alone, and never in marks of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_AS_GO).encode()


def _hash(body: bytes) -> Digest:
    return Digest(sha256(body).hexdigest())


def _no_image(why: str) -> NoImage:
    return NoImage(f"no image manifest of a model: {why}", code=Code.NO_MODEL_SERVED, hint=Code.NO_MODEL_SERVED.cure)
