"""Is a created model what its entry says? The stateless proof of `ollama-api.md` 16: what `/api/show` tells of it,
laid beside what it tells of the base. Fields that are not declared must equal the base's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fleet.manifest.item import Create, ParameterValue
from fleet.names import Digest
from fleet.ollama.versions import Capability, Version, has
from fleet.parameters import PARAMETERS, Kind
from fleet.reconcile.difference import Change
from fleet.reconcile.observed import Content
from fleet.weights.local import Format, LocalFile, Part

Value = str | float | bool | None
"""One value of a parameter, as a server shows it."""

_ADDS_UNASKED = frozenset({"gemma4", "laguna", "nemotron_h"})
"""Architectures to which servers from 0.20.0 on add a renderer, a parser and stops by themselves (5.5)."""

NO_TEMPLATE = "{{ .Prompt }}"
"""What every server shows for a model without a template (5.2)."""


def changes(
    create: Create,
    made: Content,
    base: Content | None,
    version: Version,
    weights: frozenset[Digest] | None = None,
) -> tuple[Change, ...]:
    """What of `made` is not as `create` wants it over `base`, in a fixed order of fields; empty if nothing is.

    `base` is nothing for a model made from files. `weights` are the blobs that the very same inputs gave before, where
    that is known.
    """
    expected = expected_weights(create, base, version) if weights is None else weights
    return tuple(_changes(create, made, base, version, expected))


def proven(
    create: Create,
    made: Content,
    base: Content | None,
    version: Version,
    weights: frozenset[Digest] | None = None,
) -> bool:
    """Whether a show without `changes` proves the model, its weights included: tensor models are shown without their
    blobs (5.3), and converted, quantized and rewritten files have others than were uploaded (4.4).
    """
    expected = expected_weights(create, base, version) if weights is None else weights
    drafted = not create.drafts or frozenset(_digests(create.drafts)) == made.drafts
    return bool(made.weights) and expected is not None and bool(expected) and drafted


def expected_weights(create: Create, base: Content | None, version: Version) -> frozenset[Digest] | None:
    """The blobs that a show of the model will name, where that can be told beforehand; else nothing."""
    files = create.files + create.adapters
    if base is None and not create.files:
        return None
    if any(file.digest is None or file.format is not Format.GGUF or file.split is not None for file in files):
        return None
    if has(version, Capability.IMPORT_REWRITTEN) and any(not file.tensors_kept for file in create.files):
        return None
    if create.quantize is not None and not _level_is(create.quantize, create, base):
        return None
    if base is not None and not base.weights:
        return None
    return frozenset(_digests(files)) | (base.weights if base is not None else frozenset())


def _level_is(wanted: str, create: Create, base: Content | None) -> bool:
    """Whether quantizing has nothing to do, since the source has that level (7.6)."""
    if base is not None:
        return base.quantization == wanted
    return all(file.file_type == wanted for file in create.files if file.part is not Part.PROJECTOR)


def _digests(files: tuple[LocalFile, ...]) -> Iterator[Digest]:
    return (file.digest for file in files if file.digest is not None)


def uncleared(create: Create, base: Content | None, version: Version) -> str | None:
    """The field that is declared empty while the base has one that would stay: new servers take an empty text as
    `inherit` (7.3).
    """
    if base is None or not has(version, Capability.CREATE_FIELDS):
        return None
    for field, declared, inherited in (
        ("system", create.system, base.system),
        ("template", create.template, base.template),
    ):
        if declared == "" and inherited not in {"", NO_TEMPLATE}:
            return field
    return None


def cannot_clear(field: str, create: Create) -> str:
    """What to say of such a field."""
    return f"`{field}` is declared empty, but `{create.base}` has one that stays"


def _changes(
    create: Create, made: Content, base: Content | None, version: Version, expected: frozenset[Digest] | None
) -> Iterator[Change]:
    # What an import brings by itself (a known chat template with its stops, a renderer) nobody has declared (5.5).
    imported = base is None
    base = base or Content(frozenset(), "", "")
    unasked = base.architecture in _ADDS_UNASKED
    if made.weights and expected and made.weights != expected:
        yield Change("from" if create.base is not None else "files", _blobs(made.weights), _blobs(expected))
    if create.quantize is not None and made.quantization not in {"", create.quantize}:
        yield Change("quantize", made.quantization, create.quantize)
    template = base.template if create.template is None else create.template
    if (made.template or NO_TEMPLATE) != (template or NO_TEMPLATE) and not (imported and create.template is None):
        yield Change("template", made.template, template, sensitive=True)
    system = base.system if create.system is None else create.system
    if made.system != system:
        yield Change("system", made.system, system, sensitive=True)
    wanted: dict[str, tuple[Value, ...]] = dict(base.parameters)
    wanted.update({name: _listed(value) for name, value in create.parameters.items()})
    for name in sorted(create.parameters if imported else wanted.keys() | made.parameters.keys()):
        shown, asked = made.parameters.get(name, ()), wanted.get(name, ())
        if _comparable(name, shown) == _comparable(name, asked) or (
            unasked and name == "stop" and name not in create.parameters
        ):
            continue
        yield Change(f"parameters.{name}", _written(shown), _written(asked))
    messages = tuple((m.role, m.content) for m in create.messages) or base.messages
    if made.messages != messages:
        yield Change("messages", _talk(made.messages), _talk(messages), sensitive=True)
    licence = "\n".join(text for text in (base.license, *create.license) if text)
    if made.license != licence:
        yield Change("license", made.license, licence, sensitive=True)
    for field, declared, old, inherited in (
        ("renderer", create.renderer, made.renderer, base.renderer),
        ("parser", create.parser, made.parser, base.parser),
    ):
        if declared is not None:
            accepted: tuple[str | None, ...] = (declared,)
        elif unasked or imported:
            continue
        elif has(version, Capability.RENDERER_INHERITED):
            # Made by an older server, it lost what the base has; only a rebuild would bring it, which nobody asked for.
            accepted = (inherited, None)
        else:
            accepted = (None, inherited)
        if old not in accepted:
            yield Change(field, old, accepted[0])
    if create.requires is not None and made.requires != create.requires:
        yield Change("requires", made.requires, create.requires)
    elif create.requires is None and not imported and made.requires not in {None, base.requires}:
        yield Change("requires", made.requires, base.requires)


def _listed(value: ParameterValue) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,)


def _comparable(name: str, values: tuple[Value, ...]) -> tuple[object, ...]:
    """Fractions as float32, since those that came through an old server or Modelfile are (5.4); order kept."""
    known = PARAMETERS.get(name)
    fraction = known is not None and known.kind is Kind.NUMBER
    return tuple(
        ("number", _float32(value) if fraction else float(value))
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else (type(value).__name__, value)
        for value in values
    )


def _float32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _written(values: tuple[Value, ...]) -> str | None:
    return (
        ", ".join(repr(v) if isinstance(v, str) else f"{v:g}" if isinstance(v, float) else str(v) for v in values)
        or None
    )


def _blobs(weights: frozenset[Digest]) -> str:
    return ", ".join(f"sha256:{digest.short}" for digest in sorted(weights))


def _talk(messages: tuple[tuple[str, str], ...]) -> str | None:
    return "\n".join(f"{role}: {content}" for role, content in messages) or None
