"""What `fleet import` writes: an inventory and manifests as YAML, with a comment wherever a person has to know more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap

from fleet.foreign import clean
from fleet.manifest.item import Alias, Create, ParameterValue, Pull
from fleet.names import HostName
from fleet.reconcile.importing.entries import Draft, DraftEntry
from fleet.reconcile.importing.texts import inline
from fleet.reconcile.observed import Unobserved
from fleet.render.words import counted, some
from fleet.render.yaml_scalars import one_line, scalar, shown

FOLDER = "texts"
"""Of the files with texts, beside the manifest."""

_SCHEMA = "# yaml-language-server: $schema=ollama-fleet.schema.json"
_WIDTH = 116
_LONG = 4000
"""Characters of a text that would hide the manifest around it."""
_NOTE = 600


@dataclass(frozen=True, slots=True)
class Imported:
    """Files to be written: what each holds, by its path from the manifest's folder."""

    manifest: str
    inventory: str | None = None
    """Nothing where the manifest says the hosts itself, or where an inventory said them."""
    texts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to say besides the entries."""

    hosts: Mapping[HostName, str] = field(default_factory=dict)
    """Addresses to be written down, by name."""
    apart: bool = False
    """Whether hosts go into a file of their own, and long texts too."""
    looked_into: int = 0
    unobserved: tuple[Unobserved, ...] = ()
    explicit_update: bool = False
    """The inventory has another default than `missing`, by which what is there might not count as current."""


def imported(draft: Draft, told: Told) -> Imported:
    """The files. Equal input gives equal files, byte for byte."""
    writer = _Writer(told)
    head = [_SCHEMA, *_comment(_about(draft, told)), *_left_out(draft, told)]
    inventory = None
    hosts = list(_hosts(told.hosts)) if told.hosts else []
    if told.apart and hosts:
        inventory = "\n".join([_SCHEMA, "version: 1", "", *hosts]) + "\n"
        hosts = []
    lines = [*head, "version: 1", "", *([*hosts, ""] if hosts else []), *writer.models(draft.documents[:1])]
    for entries in draft.documents[1:]:
        lines += ["---", "version: 1", "", *writer.models([entries])]
    return Imported("\n".join(lines) + "\n", inventory, dict(sorted(writer.files.items())))


def _about(draft: Draft, told: Told) -> str:
    said = f"Written by `fleet import` from what {counted(told.looked_into, 'host')} held; read it before it is used."
    said += " What nothing tells from a pulled model is written as pulled."
    if draft.aliases:
        said += (
            " Names of equal content are written as aliases of one of them: of that which others are made from, else of"
            " the oldest; which is the copy, no host tells."
        )
    if len(draft.documents) > 1:
        said += " Further down, after `---`, stand models for hosts that hold them in another way."
    return said


def _left_out(draft: Draft, told: Told) -> Iterator[str]:
    if told.unobserved:
        yield "#"
        yield "# Not looked into, so nothing is said of them:"
        for host in told.unobserved:
            yield from _comment(f"{host.host}: {host.message} ({host.code.id})", "#   ")
    if draft.left_out:
        yield "#"
        yield "# Held and not declared:"
        hosts: dict[str, list[HostName]] = {}
        for name, each in draft.left_out.items():
            for text in each:
                hosts.setdefault(text, []).append(name)
        for text, where in hosts.items():
            yield from _comment(f"{some(where)}: {text}", "#   ")


def _comment(text: str, margin: str = "# ") -> Iterator[str]:
    """One paragraph; whatever a host said in it cannot end the comment."""
    told = "".join(map(shown, clean(text, limit=_NOTE)))
    lines = wrap(told, _WIDTH - len(margin), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield f"{margin}{'  ' if number and margin != '# ' else ''}{line}"


def _hosts(hosts: Mapping[HostName, str]) -> Iterator[str]:
    yield "hosts:"
    for name, url in hosts.items():
        yield f"  {one_line(name)}: {one_line(url)}"


class _Writer:
    """Writes entries, and gathers the texts that go into files."""

    def __init__(self, told: Told) -> None:
        self.files: dict[str, bytes] = {}
        self._told = told

    def models(self, documents: Iterable[Iterable[DraftEntry]]) -> Iterator[str]:
        entries = [entry for document in documents for entry in document]
        if not entries:
            yield "models: {}"
            return
        yield "models:"
        for entry in entries:
            for note in entry.notes:
                yield from (f"  {line}" for line in _comment(note))
            yield f"  {one_line(str(entry.name))}:"
            yield from (f"    {line}" if line else "" for line in self._entry(entry))

    def _entry(self, entry: DraftEntry) -> Iterator[str]:
        """Each line without the entry's own margin; a block's lines have theirs already."""
        if entry.where is not None:
            yield f"where: {one_line(entry.where)}"
        match entry.source:
            case Pull():
                if self._told.explicit_update:
                    yield from ("pull:", "  update: missing")
            case Alias(source=source):
                yield f"alias: {one_line(str(source))}"
            case Create():
                yield "create:"
                for line in "\n".join(self._create(entry, entry.source)).split("\n"):
                    yield f"  {line}" if line else ""

    def _create(self, entry: DraftEntry, create: Create) -> Iterator[str]:
        yield f"from: {one_line(str(create.base))}"
        for key, text in (("template", create.template), ("system", create.system)):
            if text is not None:
                yield f"{key}:{self._text(text, entry, key)}"
        if create.parameters:
            yield "parameters:"
            yield from (f"  {name}: {_value(value)}" for name, value in create.parameters.items())
        if create.messages:
            yield "messages:"
            for message in create.messages:
                yield f"  - role: {message.role}"
                yield f"    content: {scalar(message.content, 4)}"
        if create.license:
            yield "license:"
            for text in create.license:
                yield f"  -{self._text(text, entry, 'license', 2)}"
        for key, text in (("renderer", create.renderer), ("parser", create.parser), ("requires", create.requires)):
            if text is not None:
                yield f"{key}: {one_line(text)}"

    def _text(self, text: str, entry: DraftEntry, key: str, indent: int = 0) -> str:
        """What stands behind the colon or the dash."""
        if inline(text) and not (self._told.apart and len(text) > _LONG):
            return f" {scalar(text, indent)}"
        path = self._file(text, f"{entry.name}.{key}")
        return f" {{file: {one_line(path)}}}"

    def _file(self, text: str, called: str) -> str:
        """Puts the text into a file, which it shares with equal ones."""
        # A first mark of byte order would be taken for one, and left out.
        raw = f"\ufeff{text}".encode() if text.startswith("\ufeff") else text.encode()
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", called).strip(".-").lower()
        number = 1
        while self.files.setdefault(path := f"{FOLDER}/{stem}{f'-{number}' if number > 1 else ''}.txt", raw) != raw:
            number += 1
        return path


def _value(value: ParameterValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_quoted(each) for each in value)}]"
    return one_line(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    written = one_line(text)
    return written if written.startswith('"') else f'"{written}"'
