"""What a created model is made from, field by field: what evidence keeps, and what tells one spelling of the same from
another model. Pure.

The bases' content and the names of single GGUF files do not count; the first is evidence of its own, the second changes
nothing of the model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.manifest.item import Create
from fleet.reconcile.difference import Change
from fleet.weights.local import Format, LocalFile

_FORMAT = "1"
"""Stands before each fingerprint; raised when the same inputs would give another one than before."""
_MOST = 20_000
_SINGLE = ("files", "adapters", "drafts")
"""Kinds of files that are numbered by digest where they are several."""


@dataclass(frozen=True, slots=True)
class _Worked:
    create: Create
    """Held, so that no other value can have its identity meanwhile."""
    inputs: Mapping[str, str]
    fingerprint: str


_worked_out: dict[int, _Worked] = {}
"""By identity: hosts share their items, so that a thousand of them are worked out once."""


def inputs(create: Create) -> Mapping[str, str]:
    """By field, sorted: values as JSON, texts as hash and size alone, files as digests. Files must have been hashed."""
    return _worked(create).inputs


def fingerprint(create: Create) -> str:
    """One text for all inputs, with the format of this module before it."""
    return _worked(create).fingerprint


def _worked(create: Create) -> _Worked:
    known = _worked_out.get(id(create))
    if known is None:
        made_from = dict(sorted(_inputs(create)))
        hashed = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
        if len(_worked_out) >= _MOST:
            _worked_out.clear()
        known = _worked_out[id(create)] = _Worked(create, made_from, f"{_FORMAT}:{hashed}")
    return known


def comparable(recorded: str) -> bool:
    """Whether a recorded fingerprint was made as they are made now."""
    return recorded.startswith(f"{_FORMAT}:")


def differing(recorded: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    """The fields that are other than when the model was made, in the order of their names. Of single files, whose order
    tells nothing, those that went and those that came.
    """
    old, new = _beyond(recorded, now), _beyond(now, recorded)
    return tuple(
        Change(field, _short(old.get(field)), _short(new.get(field))) for field in sorted(old.keys() | new.keys())
    )


def _beyond(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """What `one` says and `other` does not, single files numbered anew."""
    found = {field: text for field, text in one.items() if _kind(field) is None and other.get(field) != text}
    for kind in _SINGLE:
        there = {text for field, text in other.items() if _kind(field) == kind}
        alone = sorted(text for field, text in one.items() if _kind(field) == kind and text not in there)
        found |= {kind if number == 0 else f"{kind}[{number}]": text for number, text in enumerate(alone)}
    return found


def _kind(field: str) -> str | None:
    """Which kind of single files the field is of, if it is."""
    kind = field.partition("[")[0]
    return kind if kind in _SINGLE else None


def told(text: str) -> str:
    """A text as its hash and its size in bytes."""
    raw = text.encode(errors="surrogatepass")
    return f"sha256:{hashlib.sha256(raw).hexdigest()} ({len(raw)} bytes)"


def _inputs(create: Create) -> Iterator[tuple[str, str]]:
    if create.base is not None:
        yield "from", str(create.base).lower()
    for kind, files in (("files", create.files), ("adapters", create.adapters), ("drafts", create.drafts)):
        if files:
            yield from _files(kind, files)
    for field in ("quantize", "draft_quantize", "renderer", "parser", "requires"):
        value: str | None = getattr(create, field)
        if value is not None:
            yield field, value
    for field in ("system", "template"):
        text: str | None = getattr(create, field)
        if text is not None:
            yield field, told(text)
    for name, parameter in create.parameters.items():
        yield f"parameters.{name}", _number(parameter)
    if create.messages:
        yield "messages", told(json.dumps([[message.role, message.content] for message in create.messages]))
    if create.license:
        yield "license", told(json.dumps(create.license))


def _files(kind: str, files: tuple[LocalFile, ...]) -> Iterator[tuple[str, str]]:
    alone = sorted(_digest(file) for file in files if file.format is Format.GGUF and file.split is None)
    yield from ((f"{kind}[{number}]" if len(alone) > 1 else kind, digest) for number, digest in enumerate(alone))
    for file in files:
        if file.format is not Format.GGUF or file.split is not None:
            yield f"{kind}.{file.key}", _digest(file)


def _digest(file: LocalFile) -> str:
    if file.digest is None:
        raise ValueError(f"`{file.shown}` was not hashed")
    return str(file.digest)


def _number(value: object) -> str:
    """`1` and `1.0` are one value to a server."""
    if isinstance(value, float):
        return repr(int(value) if value.is_integer() else value)
    return json.dumps(value)


def _short(text: str | None) -> str | None:
    """Digests by their beginning, which is enough to tell two apart."""
    if text is None or not text.startswith("sha256:"):
        return text
    return text[: len("sha256:") + 12] + text[len("sha256:") + 64 :]
