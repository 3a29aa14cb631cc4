"""What a server is sent so that it makes a model, in the dialect of its version. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from fleet.manifest.item import Create, ParameterValue, Warm
from fleet.names import Digest
from fleet.ollama.file_keys import file_keys
from fleet.ollama.modelfile import write
from fleet.ollama.parameters import known_in
from fleet.ollama.request import CreateRequest, OldCreateRequest
from fleet.ollama.versions import Capability, Version, has
from fleet.reconcile.difference import LocalBlob
from fleet.weights.layout import Layout
from fleet.weights.local import Format, LocalFile

Archives = Mapping[tuple[LocalFile, ...], Digest]
"""The digests of archives, by their members."""

_UNKNOWN = Digest("0" * 64)


def request(
    create: Create, model: str, base: str | None, version: Version, archives: Archives | None = None
) -> CreateRequest | OldCreateRequest:
    """The create request for that server. `model` and `base` are spelled as the host lists them, where it does.

    `archives` are needed where it is to be sent; without them it only tells whether it could be written. Raises
    `fleet.ollama.modelfile.NotExpressibleError` for what the old dialect cannot carry.
    """
    if has(version, Capability.CREATE_FIELDS):
        return CreateRequest(
            model,
            base=base,
            files=_named(create.files, version),
            adapters=_named(create.adapters, version),
            draft_files=_named(create.drafts, version),
            template=create.template,
            system=create.system,
            license=create.license,
            parameters={
                key: list(value) if isinstance(value, tuple) else value for key, value in create.parameters.items()
            },
            messages=[{"role": message.role, "content": message.content} for message in create.messages],
            quantize=create.quantize,
            draft_quantize=create.draft_quantize,
            renderer=create.renderer,
            parser=create.parser,
            requires=create.requires,
        )
    return OldCreateRequest(
        model,
        write(
            base=base,
            files=_sent(create.files, archives or {}),
            adapters=_sent(create.adapters, archives or {}),
            system=create.system,
            template=create.template,
            parameters=create.parameters,
            messages=[(message.role, message.content) for message in create.messages],
            licenses=create.license,
        ),
        quantize=create.quantize,
    )


def blobs(create: Create, version: Version) -> tuple[LocalBlob, ...]:
    """What has to be on a host of this version before the create, each blob once. Files must have been hashed.

    Servers up to 0.5.4 take a safetensors directory as one archive (`ollama-api.md` 7.2).
    """
    if has(version, Capability.CREATE_FIELDS):
        return _once(create.local_files)
    found: list[LocalBlob] = []
    for files in (create.files, create.adapters):
        members = tuple(file for file in files if file.format is not Format.GGUF)
        if members:
            found.append(LocalBlob(None, Layout(members).size, members))
    gguf = tuple(file for file in create.files + create.adapters if file.format is Format.GGUF)
    return (*_once(gguf), *found)


def unknown_parameters(parameters: Mapping[str, ParameterValue], version: Version) -> tuple[str, ...]:
    """Names that a server of this version does not know, sorted; none are named where the version is not known."""
    if not version.known:
        return ()
    return tuple(sorted(name for name in parameters if not known_in(name, version)))


def inputs_of_load(warm: Warm) -> str:
    """SHA-256 over how a model is to be kept in memory."""
    told = {"keep_alive": warm.keep_alive, "options": dict(warm.options)}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _once(files: Iterable[LocalFile]) -> tuple[LocalBlob, ...]:
    by_digest = {file.digest: file for file in files}
    return tuple(LocalBlob(digest, file.stamp.size, (file,)) for digest, file in by_digest.items())


def _named(files: tuple[LocalFile, ...], version: Version) -> dict[str, str]:
    keys = file_keys([file.key for file in files], version)
    return {keys[file.key]: str(file.digest) for file in files if file.key in keys}


def _sent(files: tuple[LocalFile, ...], archives: Archives) -> list[Digest]:
    """What the lines of the Modelfile name: each GGUF, or the archive of all others."""
    members = tuple(file for file in files if file.format is not Format.GGUF)
    alone = [file.digest or _UNKNOWN for file in files if file.format is Format.GGUF]
    return alone + ([archives.get(members, _UNKNOWN)] if members else [])
