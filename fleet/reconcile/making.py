"""What a server is sent so that it makes a model, in the dialect of its version. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from fleet.manifest.item import Create, ParameterValue, Warm
from fleet.ollama.modelfile import write
from fleet.ollama.parameters import known_in
from fleet.ollama.request import CreateRequest, OldCreateRequest
from fleet.ollama.versions import Capability, Version, has


def request(create: Create, model: str, base: str, version: Version) -> CreateRequest | OldCreateRequest:
    """The create request for that server. `model` and `base` are spelled as the host lists them, where it does.

    Raises `fleet.ollama.modelfile.NotExpressibleError` for what the old dialect cannot carry.
    """
    if has(version, Capability.CREATE_FIELDS):
        return CreateRequest(
            model,
            base=base,
            template=create.template,
            system=create.system,
            license=create.license,
            parameters={
                key: list(value) if isinstance(value, tuple) else value for key, value in create.parameters.items()
            },
            messages=[{"role": message.role, "content": message.content} for message in create.messages],
            renderer=create.renderer,
            parser=create.parser,
            requires=create.requires,
        )
    return OldCreateRequest(
        model,
        write(
            base=base,
            system=create.system,
            template=create.template,
            parameters=create.parameters,
            messages=[(message.role, message.content) for message in create.messages],
            licenses=create.license,
        ),
    )


def unknown_parameters(parameters: Mapping[str, ParameterValue], version: Version) -> tuple[str, ...]:
    """Names that a server of this version does not know, sorted; none are named where the version is not known."""
    if not version.known:
        return ()
    return tuple(sorted(name for name in parameters if not known_in(name, version)))


def inputs_of(create: Create) -> str:
    """SHA-256 over everything that a created model is made from, apart from the base's content."""
    return _hashed(
        {
            "from": create.base.key,
            "system": create.system,
            "template": create.template,
            "parameters": dict(create.parameters),
            "messages": [[message.role, message.content] for message in create.messages],
            "license": list(create.license),
            "renderer": create.renderer,
            "parser": create.parser,
            "requires": create.requires,
        }
    )


def inputs_of_load(warm: Warm) -> str:
    """SHA-256 over how a model is to be kept in memory."""
    return _hashed({"keep_alive": warm.keep_alive, "options": dict(warm.options)})


def _hashed(value: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
