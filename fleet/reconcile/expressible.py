"""Why a host cannot be told to make a model, if it cannot (`ollama-api.md` 7 and 14). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.codes import Code
from fleet.manifest.item import Create, Item
from fleet.ollama.modelfile import NotExpressibleError
from fleet.ollama.quantize import why_not
from fleet.ollama.versions import Capability, Version, has
from fleet.reconcile.difference import Blocked
from fleet.reconcile.making import request, unknown_parameters
from fleet.weights.local import Part


def inexpressible(item: Item, create: Create, version: Version) -> Blocked | None:
    """What stands in the way on a server of this version; the first of several."""
    return next(_obstacles(item, create, version), None)


def _obstacles(item: Item, create: Create, version: Version) -> Iterator[Blocked]:
    for field, capability in _gated(create):
        if version.known and not has(version, capability):
            since = ".".join(map(str, capability.value.since or ()))
            yield Blocked(
                Code.FIELD_NEEDS_NEWER_SERVER,
                f"{field} needs Ollama {since}, the host has {version}",
                hint="upgrade the host, or let the entry or the field be for other hosts by `where` and `overrides`",
            )
    for level, source in _levels(create):
        why = why_not(level, source, version)
        if why is not None:
            yield Blocked(Code.CANNOT_QUANTIZE, f"`quantize: {level}`: {why}", hint=Code.CANNOT_QUANTIZE.cure)
    unknown = unknown_parameters(create.parameters, version)
    if unknown:
        names = ", ".join(f"`{name}`" for name in unknown)
        yield Blocked(Code.PARAMETER_UNKNOWN_HERE, f"Ollama {version} does not know {names}")
    if has(version, Capability.CREATE_FIELDS):
        return
    try:
        request(create, str(item.name), None if create.base is None else str(create.base), version)
    except NotExpressibleError as fault:
        yield Blocked(Code.TEXT_NOT_EXPRESSIBLE, f"`{fault.field}` cannot be written for Ollama {version}: {fault.why}")


def _gated(create: Create) -> Iterator[tuple[str, Capability]]:
    """What is asked for and not every server can do."""
    for field, value, capability in (
        ("`renderer`", create.renderer, Capability.RENDERER),
        ("`parser`", create.parser, Capability.RENDERER),
        ("`requires`", create.requires, Capability.REQUIRES),
        ("`drafts`", create.drafts or None, Capability.DRAFT),
        ("`draft_quantize`", create.draft_quantize, Capability.DRAFT),
    ):
        if value is not None:
            yield field, capability
    if any(file.split is not None for file in create.files):
        yield "a split GGUF", Capability.SPLIT_GGUF


def _levels(create: Create) -> Iterator[tuple[str, str | None]]:
    """Each level that is asked for, with the level of the file that it is made from, where that is known."""
    if create.quantize is not None:
        sources = {file.file_type for file in create.files if file.part is Part.MODEL}
        yield create.quantize, sources.pop() if len(sources) == 1 else None
    if create.draft_quantize is not None:
        sources = {file.file_type for file in create.drafts if file.part is Part.MODEL}
        yield create.draft_quantize, sources.pop() if len(sources) == 1 else None
