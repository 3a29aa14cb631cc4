"""Reads the texts that entries name, before anything is worked out: deciding is pure and opens no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fleet.manifest.faults import Misread
from fleet.manifest.files import MOST_BYTES_IN_ALL, read_below, resolved
from fleet.manifest.inventory import Host
from fleet.manifest.ranges import fill
from fleet.manifest.written import Entry, FileText, files_in, host_keys

Texts = Mapping[tuple[str, str], str | Misread]
"""By folder and path: the text, or why it cannot be had."""


def read_texts(entries: Iterable[Entry], hosts: Iterable[Host], roots: Sequence[Path]) -> Texts:
    """Every text that an entry could want on some host, from below its manifest's folder or one of `roots`.

    What cannot be read is kept as a value: it is a fault only if a host turns out to want it.
    """
    keys = [host_keys(host) for host in hosts]
    found: dict[tuple[str, str], str | Misread] = {}
    total = 0
    for wanted in {(text.folder, text.path): text for entry in entries for text in _named(entry)}.values():
        for path in _paths(wanted, keys):
            if (wanted.folder, path) in found:
                continue
            try:
                text = _read(Path(wanted.folder), path, roots)
                total += len(text)
                if total > MOST_BYTES_IN_ALL:
                    raise Misread(f"texts of more than {MOST_BYTES_IN_ALL >> 20} MiB in all")
                found[wanted.folder, path] = text
            except Misread as error:
                found[wanted.folder, path] = error
    return found


def _named(entry: Entry) -> Iterator[FileText]:
    for gives in (entry.gives, *(override.gives for override in entry.overrides)):
        yield from files_in(gives)


def _paths(text: FileText, keys: list[dict[str, str]]) -> Iterator[str]:
    if "{" not in text.path:
        yield text.path
        return
    for known in keys:
        try:
            yield fill(text.path, known)
        except Misread:
            # This host lacks the label; it is told so if the entry reaches it.
            continue


def _read(folder: Path, path: str, roots: Sequence[Path]) -> str:
    full = folder / path
    for root in (folder, *roots):
        if resolved(full).is_relative_to(resolved(root)):
            return _decoded(read_below(root, full))
    raise Misread("leads out of the manifest's folder")


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Misread("not UTF-8") from None
    if "\0" in text:
        raise Misread("holds a NUL byte")
    return text
