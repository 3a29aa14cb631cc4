"""The `create` that would make one model out of another, by what a host shows of both (`ollama-api.md` 5.5). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.manifest.faults import Misread
from fleet.manifest.item import Create, Message, ParameterValue
from fleet.manifest.words import BUILTIN, SEMVER
from fleet.names import InvalidName, ModelName
from fleet.ollama.modelfile import ROLES
from fleet.ollama.parameters import check
from fleet.parameters import PARAMETERS, Kind
from fleet.reconcile.compare import NO_TEMPLATE
from fleet.reconcile.importing.texts import in_a_file, inline
from fleet.reconcile.observed import Content


class NotToldError(Exception):
    """The host does not show enough to say how the model was made, or no manifest could say it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a host shows of one model."""

    content: Content
    licences: tuple[str, ...]
    """The single texts, which the content has joined."""


def derive(made: Shown, base: ModelName, of: Shown, *, files: bool) -> Create:
    """All that `made` has and its base, shown as `of`, has not. `files` says whether a text may stand in a file.

    Raises `NotToldError`. What the base has and `made` has not is no part of a `create`: that it is as desired is for
    others to prove.
    """
    new, old = made.content, of.content
    if not new.weights or new.weights != old.weights or new.drafts != old.drafts:
        raise NotToldError(f"its weights are not those that `{base}` has now")
    template = new.template or NO_TEMPLATE
    texts = _Texts(files=files)
    return Create(
        base=base,
        system=texts.long("system", new.system) if new.system != old.system else None,
        template=texts.long("template", template) if template != (old.template or NO_TEMPLATE) else None,
        parameters={
            name: _value(name, values, texts)
            for name, values in sorted(new.parameters.items())
            if values != old.parameters.get(name)
        },
        messages=_messages(new, texts) if new.messages != old.messages else (),
        license=tuple(texts.long("license", text) for text in _added(made.licences, of.licences)),
        renderer=_word("renderer", new.renderer) if new.renderer != old.renderer else None,
        parser=_word("parser", new.parser) if new.parser != old.parser else None,
        requires=_version(new.requires) if new.requires != old.requires else None,
    )


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts as they are, once it is sure that a manifest can carry them. Raises `NotToldError`."""

    files: bool

    def long(self, field: str, text: str) -> str:
        """One that may stand in a file."""
        if inline(text) or (self.files and in_a_file(text)):
            return text
        hint = ", and texts with control characters need `--out` with a folder" if in_a_file(text) else ""
        raise NotToldError(f"its `{field}` cannot be written{hint}")

    def short(self, field: str, text: str) -> str:
        """One that has to stand in the manifest."""
        if not inline(text):
            raise NotToldError(f"its `{field}` has control characters, which no manifest can carry")
        return text


def _value(name: str, values: tuple[str | float | bool | None, ...], texts: _Texts) -> ParameterValue:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        raise NotToldError(f"its parameter `{name}` is none that any release of Ollama knows")
    value: object
    if parameter.kind is Kind.TEXTS:
        value = tuple(texts.short(f"parameters.{name}", each) if isinstance(each, str) else each for each in values)
    elif len(values) == 1:
        # Large whole numbers are shown with an exponent (5.4).
        only = values[0]
        whole = parameter.kind is Kind.INTEGER and isinstance(only, float) and only.is_integer()
        value = int(only) if whole and only is not None else only
    else:
        value = None
    if value is None or check(name, value) is not None:
        raise NotToldError(f"its parameter `{name}` has a value that cannot be written")
    return value  # type: ignore[return-value]  # just checked


def _messages(made: Content, texts: _Texts) -> tuple[Message, ...]:
    if any(role not in ROLES for role, _ in made.messages):
        raise NotToldError("one of its messages has a role that no manifest can name")
    return tuple(Message(role, texts.short("messages", content)) for role, content in made.messages)


def _added(licences: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """The texts that came after the base's own."""
    if licences[: len(before)] != before:
        raise NotToldError("it has not all the licences of its base")
    added = licences[len(before) :]
    if "" in added:
        raise NotToldError("one of its licences is empty")
    return added


def _word(field: str, text: str | None) -> str | None:
    try:
        return None if text is None else BUILTIN.parse(text)
    except Misread:
        raise NotToldError(f"its {field} is no name that can be written") from None


def _version(text: str | None) -> str | None:
    try:
        return None if text is None else SEMVER.parse(text)
    except (Misread, InvalidName):
        raise NotToldError("its `requires` is no version that can be written") from None
