"""Reads the texts and Modelfiles that entries name, before anything is worked out: deciding is pure and opens no file.

What cannot be read is kept as a value: it is a fault only if a host turns out to want it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from fleet.manifest.faults import Misread
from fleet.manifest.files import MOST_BYTES_IN_ALL, lies_below, read_below, shown_path
from fleet.manifest.inventory import Host
from fleet.manifest.modelfile import beside, read_modelfile
from fleet.manifest.ranges import fill
from fleet.manifest.written import (
    At,
    Entry,
    FileModelfile,
    FileText,
    Modelfiles,
    NamedFile,
    Texts,
    files_in,
    host_keys,
)

Kind = TypeVar("Kind", bound=NamedFile)
T = TypeVar("T")


def named(kind: type[Kind], entries: Iterable[Entry], hosts: Iterable[Host]) -> dict[At, Kind]:
    """Every file of a kind that an entry could want on some host, each once, with one of the places that name it."""
    keys = [host_keys(host) for host in hosts]
    found: dict[At, Kind] = {}
    wanted = {(one.folder, one.path): one for entry in entries for one in _named(entry) if isinstance(one, kind)}
    for one in wanted.values():
        for path in _paths(one, keys):
            found.setdefault((one.folder, path), one)
    return found


def read_texts(entries: Iterable[Entry], hosts: Iterable[Host], roots: Sequence[Path]) -> Texts:
    """Every text, from below its manifest's folder or one of `roots`."""
    return _read_all(named(FileText, entries, hosts), roots, lambda content, _: _decoded(content))


def read_modelfiles(entries: Iterable[Entry], hosts: Iterable[Host], roots: Sequence[Path]) -> Modelfiles:
    """Every Modelfile, likewise. Places in it name the file as seen from where the manifest's own name starts."""
    files = named(FileModelfile, entries, hosts)
    return _read_all(
        files, roots, lambda content, at: read_modelfile(content, shown_path(beside(files[at].place.file, at[1])))
    )


def _read_all(files: Iterable[At], roots: Sequence[Path], read: Callable[[bytes, At], T]) -> dict[At, T | Misread]:
    found: dict[At, T | Misread] = {}
    total = 0
    for at in files:
        path = Path(*at)
        try:
            content = read_below(lies_below(path, (Path(at[0]), *roots)), path)
            total += len(content)
            if total > MOST_BYTES_IN_ALL:
                raise Misread(f"texts of more than {MOST_BYTES_IN_ALL >> 20} MiB in all")
            found[at] = read(content, at)
        except Misread as error:
            found[at] = error
    return found


def _named(entry: Entry) -> Iterator[NamedFile]:
    for gives in (entry.gives, *(override.gives for override in entry.overrides)):
        yield from files_in(gives)


def _paths(file: NamedFile, keys: list[dict[str, str]]) -> Iterator[str]:
    if "{" not in file.path:
        yield file.path
        return
    for known in keys:
        try:
            yield fill(file.path, known)
        except Misread:
            # This host lacks the label; it is told so if the entry reaches it.
            continue


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Misread("not UTF-8") from None
    if "\0" in text:
        raise Misread("holds a NUL byte")
    return text
