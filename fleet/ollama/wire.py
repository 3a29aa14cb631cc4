"""The shapes of replies, as frozen values (`ollama-api.md` 4, 5, 10-12).

What a server need not send has a default; unknown keys are ignored, nulls count as not sent, but for a model that is
null: to drop it would be to say that it is not there. Texts are as the server
sent them: whoever shows one calls `foreign.clean`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

T = TypeVar("T")

FOREVER_YEARS = 10
"""`expires_at` further ahead than this means for ever (`ollama-api.md` 11)."""


_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def moment(value: object) -> datetime | None:
    """A server's time in UTC, cut to microseconds; nothing where it is none. Never fails, whatever the year."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    if read.tzinfo is None:
        return read.replace(tzinfo=UTC)
    try:
        return read.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if read.year == 1 else _LATEST


def _number(value: object) -> int | None:
    """Progress may be anything at all (`reliability.md` S12); what is no number counts as not sent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _spelled(value: object) -> str:
    """An error line's `status` is an integer (`ollama-api.md` 1.3); anything else but text says nothing."""
    number = _number(value)
    return "" if number is None or not 0 <= number <= 999 else str(number)


Size = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""Bytes, as Go counts them. No Python runs for it: a thousand hosts list some ten thousand models."""
Moment = Annotated[datetime | None, BeforeValidator(moment)]
Number = Annotated[int | None, BeforeValidator(_number)]
Status = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else _spelled(value))]
ErrorText = Annotated[
    str | None, BeforeValidator(lambda value: value if value is None or isinstance(value, str) else json.dumps(value))
]
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: () if value is None else value)]


@dataclass(frozen=True, slots=True)
class Details:
    """What a listing and a show reply tell of the weights."""

    parent_model: str = ""
    """The display name of the base at build time, a blob's path, a file's name or nothing (`ollama-api.md` 5.5)."""
    format: str = ""
    family: str = ""
    families: Texts = ()
    parameter_size: str = ""
    quantization_level: str = ""
    context_length: int | None = None
    """Of the model, not of a runner; from 0.30.0 on."""
    embedding_length: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One model on disk."""

    name: str
    """In the server's spelling, which is the one to send back."""
    digest: str
    """SHA-256 of the image manifest: bare hex, read by `Digest.parse`."""
    size: Size = 0
    """Bytes of all layers; shared ones count for every model."""
    modified_at: str = ""
    """No evidence of change: every pull moves it. Kept as text for that reason."""
    details: Details = field(default_factory=Details)
    remote_model: str | None = None
    """Set for a cloud stub, which has no weights here."""
    remote_host: str | None = None
    capabilities: tuple[str, ...] | None = None
    """From 0.30.0 on."""


@dataclass(frozen=True, slots=True)
class Running:
    """One runner in memory, under the name and digest of the model that loaded it first."""

    name: str
    digest: str
    size: Size = 0
    """Bytes in all."""
    size_vram: Size = 0
    expires_at: Moment = None
    """In the past while a request runs; centuries ahead for ever."""
    context_length: int | None = None
    """From 0.10.0 on; the value in effect from 0.15.5 on."""
    details: Details = field(default_factory=Details)

    def remaining(self, now: datetime) -> float | None:
        """Seconds until it may be unloaded, negative when past; nothing for ever. `now` is aware of its zone."""
        if self.expires_at is None or self.expires_at.year - now.year > FOREVER_YEARS:
            return None
        return (self.expires_at - now).total_seconds()


@dataclass(frozen=True, slots=True)
class ShownMessage:
    role: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """What `/api/show` tells of one model; `shown.read` makes sense of its texts."""

    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""
    license: str = ""
    """All licences joined by newlines; the blocks are in `modelfile`."""
    messages: tuple[ShownMessage, ...] = ()
    details: Details = field(default_factory=Details)
    model_info: Mapping[str, Any] = field(default_factory=dict)
    capabilities: tuple[str, ...] | None = None
    """Nothing before 0.6.4, and where the server leaves an empty list out."""
    requires: str | None = None
    remote_model: str | None = None
    remote_host: str | None = None
    modified_at: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of a pull, push or create. Only `success` means anything; every other status is for people."""

    status: Status = ""
    """A number where an error line repeats the HTTP status that it would have been."""
    digest: str | None = None
    """What progress is keyed by: `sha256:…`, zeros, or `sha256:model`."""
    total: Number = None
    completed: Number = None
    error: ErrorText = None
    """Failure, whatever the rest of the line or of the stream says."""


@dataclass(frozen=True, slots=True)
class Timings:
    """What inference took: counts of tokens, durations in nanoseconds."""

    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


@dataclass(frozen=True, slots=True)
class GenerateReply(Timings):
    """A whole answer of `/api/generate`, or one line of its stream."""

    model: str = ""
    response: str = ""
    thinking: str = ""
    done: bool = False
    done_reason: str = ""
    """`load` and `unload` answer an empty prompt; else `stop`, `length` …"""
    context: tuple[int, ...] = ()
    error: ErrorText = None


@dataclass(frozen=True, slots=True)
class ToolFunction:
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    function: ToolFunction = field(default_factory=ToolFunction)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: str = ""
    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatReply(Timings):
    """A whole answer of `/api/chat`, or one line of its stream."""

    model: str = ""
    message: ChatMessage = field(default_factory=ChatMessage)
    done: bool = False
    done_reason: str = ""
    error: ErrorText = None


@dataclass(frozen=True, slots=True)
class EmbedReply:
    """What `/api/embed` and `/api/embeddings` give: one vector for each input, none for a mere load."""

    embeddings: tuple[tuple[float, ...], ...] = ()
    model: str = ""
    prompt_eval_count: int = 0


@dataclass(frozen=True, slots=True)
class _Vector:
    embedding: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class _Models:
    models: tuple[Listed, ...] | None


@dataclass(frozen=True, slots=True)
class _Runners:
    models: tuple[Running, ...] | None


@dataclass(frozen=True, slots=True)
class _Version:
    version: str


class ReplyError(ValueError):
    """A reply that is no JSON or not of its shape; the message says why, and is ours but for names of keys."""


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(shape: type[T]) -> TypeAdapter[T]:
    adapter = _ADAPTERS.get(shape)
    if adapter is None:
        # Built on first use: all of them together take longer than `fleet --help`.
        adapter = _ADAPTERS[shape] = TypeAdapter(shape)
    return adapter


def read(shape: type[T], raw: bytes) -> T:
    """The one way from bytes to a shape. Raises `ReplyError`."""
    try:
        return _adapter(shape).validate_json(raw)
    except ValidationError:
        return _read_carefully(shape, raw)


def _read_carefully(shape: type[T], raw: bytes) -> T:
    """For what the straight way refuses: nulls, lone surrogates and broken UTF-8 are forgiven, the rest is not."""
    try:
        loaded = json.loads(raw.decode(errors="replace"), parse_constant=_refuse_constant)
        return _adapter(shape).validate_python(_forgiven(loaded))
    except RecursionError:
        raise ReplyError("nested too deeply") from None
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the reply"
        raise ReplyError(f"`{place}`: {first['msg'].lower()}") from None
    except ValueError as fault:
        raise ReplyError(f"no JSON: {type(fault).__name__}") from None


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _forgiven(value: Any, *, whole: bool = False) -> Any:
    """The same without nulls, which mean `not sent` to Go, and without halves of surrogate pairs.

    A list that is `whole` keeps its nulls.
    """
    if isinstance(value, dict):
        # An explicit `models: null` is an empty listing, while no `models` at all is no listing.
        return {
            _whole(key): _forgiven(item, whole=key == "models")
            for key, item in value.items()
            if item is not None or key in _NULLABLE
        }
    if isinstance(value, list):
        return [_forgiven(item) for item in value if whole or item is not None]
    return _whole(value) if isinstance(value, str) else value


_NULLABLE = frozenset({"models", "embedding"})


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def version(raw: bytes) -> str:
    """What `/api/version` says, still to be parsed. Raises `ReplyError`."""
    return read(_Version, raw).version


def models(raw: bytes) -> tuple[Listed, ...]:
    """What `/api/tags` lists, in its order, doubles included. Raises `ReplyError`."""
    return read(_Models, raw).models or ()


def runners(raw: bytes) -> tuple[Running, ...]:
    """What `/api/ps` lists. Raises `ReplyError`."""
    return read(_Runners, raw).models or ()


def vector(raw: bytes) -> tuple[float, ...]:
    """The one vector of `/api/embeddings`, empty for a mere load. Raises `ReplyError`."""
    return read(_Vector, raw).embedding or ()
