"""From the client's shapes to what decisions hang on. Pure; shared by observation and by the checks of execution."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from fleet.foreign import clean
from fleet.names import Digest, InvalidName, ModelName
from fleet.ollama import shown
from fleet.ollama.wire import Listed, Running, Show
from fleet.reconcile.observed import Content, Present, Runner


@dataclass(frozen=True, slots=True)
class Listing:
    """A reply of `/api/tags`, sorted out."""

    models: Mapping[ModelName, Present]
    collisions: tuple[tuple[Present, Present], ...] = ()
    unreadable: frozenset[ModelName] = frozenset()
    invalid: tuple[str, ...] = ()
    modified: Mapping[ModelName, str] = field(default_factory=dict)


def listing(models: Iterable[Listed]) -> Listing:
    """Names are read, those that collide or are none set aside; order does not matter."""
    found: dict[ModelName, Present] = {}
    doubled: dict[ModelName, list[Present]] = {}
    invalid: list[str] = []
    unreadable: set[ModelName] = set()
    modified: dict[ModelName, str] = {}
    for model in models:
        details = model.details
        kind = details.family, details.parameter_size, details.quantization_level
        try:
            present = _present(model.name, model.digest, model.size, bool(model.remote_model), kind)
        except InvalidName:
            try:
                unreadable.add(ModelName.parse(model.name))
            except InvalidName:
                invalid.append(_strange(model.name))
            continue
        modified[present.name] = model.modified_at
        names = len(found)
        before = found.setdefault(present.name, present)
        if len(found) == names:  # not by identity: the very same line may stand twice
            doubled.setdefault(present.name, [before]).append(present)
    for name in doubled.keys() | (found.keys() & unreadable):
        found.pop(name)
    return Listing(found, _pairs(doubled.values()), frozenset(unreadable), tuple(sorted(invalid)), modified)


def _strange(listed: str) -> str:
    """A text that is no name, as it is shown: never as a name that it is not, as one with a blank before it would be."""
    shown = clean(listed, limit=200)
    try:
        ModelName.parse(shown)
    except InvalidName:
        return shown
    return clean(json.dumps(listed), limit=200)


@lru_cache(maxsize=65536)
def _present(listed: str, digest: str, size: int, remote: bool, kind: tuple[str, str, str]) -> Present:
    """Made once for all hosts that list it, as most hosts of a fleet list the same. Raises `InvalidName`."""
    return Present(ModelName.parse(listed), listed, Digest.parse(digest), size, remote, kind)


def _pairs(doubled: Iterable[list[Present]]) -> tuple[tuple[Present, Present], ...]:
    """The first spelling of each name beside every other one."""
    sorted_each = [sorted(each, key=lambda model: (model.listed, model.digest)) for each in doubled]
    return tuple(
        (each[0], other) for each in sorted(sorted_each, key=lambda each: each[0].listed) for other in each[1:]
    )


def runners(running: Iterable[Running]) -> tuple[Runner, ...]:
    """Sorted by name, since servers sort by what is left of their time."""
    return tuple(
        sorted(
            (Runner(r.name, _digest(r.digest), r.size, r.size_vram, r.expires_at, r.context_length) for r in running),
            key=lambda runner: runner.listed,
        )
    )


def _digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except InvalidName:
        return None


def content(show: Show) -> Content:
    """What a show reply proves (`ollama-api.md` 5.5, 16)."""
    model = shown.read(show)
    architecture = show.model_info.get("general.architecture")
    capabilities = model.capabilities or ()
    return Content(
        weights=model.weights,
        # From 0.30.0 on `template` may be the file's own; the instruction in the Modelfile is what was given (5.2).
        template=model.template if model.template_block is None else model.template_block,
        system=model.system or "",
        parameters=model.parameters,
        messages=tuple((message.role, message.content) for message in model.messages),
        license=show.license,
        renderer=model.renderer,
        parser=model.parser,
        requires=model.requires,
        parent=model.parent_model,
        architecture=architecture if isinstance(architecture, str) else "",
        context_length=model.context_length,
        embeds_only="embedding" in capabilities and "completion" not in capabilities,
        quantization=model.quantization,
        adapters=frozenset(model.adapter_digests),
        drafts=frozenset(model.draft_digests),
    )
