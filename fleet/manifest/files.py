"""Finds and opens files without trusting them: regular ones only, of limited size, never outside their folder.

A FIFO would block for ever, a symbolic link could show any file of this machine (`reliability.md` A.5).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from fleet.manifest.faults import Faults, Misread, shown
from fleet.manifest.inventory import Place

MOST_BYTES = 1 << 20
"""Of one file."""
MOST_BYTES_IN_ALL = 16 << 20
MOST_FILES = 2000

DEFAULTS = ("ollama-fleet.yaml", "ollama-fleet")
_ENDINGS = (".yaml", ".yml")
_DEEPEST = 32
# Without waiting for the other end of a FIFO, and never taking a terminal as our own.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

STDIN = "-"
"""The path that means standard input."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be read. `root` is the folder that it may not lead out of; nothing where the user named the file."""

    shown: str
    path: Path
    root: Path | None = None


def find_sources(paths: Sequence[str], folder: Path, faults: Faults) -> list[Source]:
    """The files that `paths` stand for, in order; each path is a file, a folder or `-`. Wrong ones go to `faults`."""
    found: list[Source] = []
    for path in paths:
        full = folder / path
        before = len(faults.found)
        if path == STDIN:
            found.append(Source(STDIN, full))
        elif _is_folder(full):
            inside = list(islice(_walk(full, path.rstrip("/"), full, faults), MOST_FILES + 1))
            if not inside and len(faults.found) == before:
                faults.add(Place(shown_path(path), 1, 1), "", "no `*.yaml` or `*.yml` file in this folder")
            found.extend(inside)
        else:
            found.append(Source(shown_path(path), full))
        if len(found) > MOST_FILES:
            faults.add(Place(shown_path(path), 1, 1), "", f"more than {MOST_FILES:,} files")
            return []
    return found


def default_paths(folder: Path) -> list[str]:
    """What is read where no path is given, or nothing where neither is there."""
    return [name for name in DEFAULTS if (folder / name).exists()][:1]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # what is wrong with it is told when it is opened


def shown_path(path: str) -> str:
    """A path as places show it: the names of files are the work of others too."""
    return path if path.isprintable() else shown(path)


def _walk(full: Path, name: str, root: Path, faults: Faults, depth: int = 0) -> Iterator[Source]:
    if depth > _DEEPEST:
        faults.add(Place(shown_path(name), 1, 1), "", f"folders in folders, more than {_DEEPEST} deep")
        return
    try:
        entries = sorted(full.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        faults.add(Place(shown_path(name), 1, 1), "", f"cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith((".", "#")) or entry.name.endswith("~"):
            continue
        inner = f"{name}/{entry.name}"
        if entry.is_dir():
            if entry.is_symlink():
                faults.add(Place(shown_path(inner), 1, 1), "", "a symbolic link to a folder is not followed")
            else:
                yield from _walk(entry, inner, root, faults, depth + 1)
        elif entry.name.endswith(_ENDINGS):
            yield Source(shown_path(inner), entry, root)


def read_source(source: Source) -> bytes:
    """All bytes of a file. Raises `Misread`."""
    if source.root is not None:
        return read_below(source.root, source.path)
    with reasons():
        return _read(os.open(source.path, _FLAGS), fifo="read standard input by `-f -`")


def read_below(root: Path, path: Path) -> bytes:
    """All bytes of a file, which must be below `root`: links may lead about inside, never out. Raises `Misread`."""
    return _read(_opened(root, path))


@contextmanager
def opened_below(root: Path, path: Path) -> Iterator[BinaryIO]:
    """A regular file of any size, by the rules of `read_below`. Raises `Misread`."""
    with reasons():
        descriptor = _opened(root, path)
        try:
            _check_regular(descriptor)
        except Misread:
            os.close(descriptor)
            raise
    with open(descriptor, "rb") as file:
        yield file


def _opened(root: Path, path: Path) -> int:
    real_root, real = resolved(root), resolved(path)
    if not real.is_relative_to(real_root):
        raise Misread("leads out of its folder")
    with reasons():
        # From here on no part of the path is a link, and none that becomes one meanwhile is followed.
        holder = os.open(real_root, _FLAGS | os.O_DIRECTORY)
        try:
            *folders, last = real.relative_to(real_root).parts or (".",)
            for part in folders:
                inner = os.open(part, _FLAGS | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=holder)
                os.close(holder)
                holder = inner
            return os.open(last, _FLAGS | os.O_NOFOLLOW, dir_fd=holder)
        finally:
            os.close(holder)


def lies_below(path: Path, roots: Iterable[Path]) -> Path:
    """The first of `roots` that the path stays in after all links. Raises `Misread` where it leads out of all."""
    real = resolved(path)
    for root in roots:
        if real.is_relative_to(resolved(root)):
            return root
    raise Misread(
        "leads out of the manifest's folder", hint="name another folder that files may lie in as `file_roots`"
    )


def resolved(path: Path) -> Path:
    """The path without links and dots, whether it is there or not. Raises `Misread`."""
    with reasons():
        return path.resolve()


@contextmanager
def reasons() -> Iterator[None]:
    """Turns what the system says of files into `Misread`."""
    try:
        yield
    except Misread:
        raise
    except ValueError:
        raise Misread("cannot be read: no file can have such a name") from None
    except (OSError, RuntimeError) as error:
        # pathlib has a RuntimeError for links that lead in a circle.
        reason = error.strerror if isinstance(error, OSError) else "symbolic links lead in a circle"
        raise Misread(f"cannot be read: {reason}") from None


def _read(descriptor: int, *, fifo: str | None = None) -> bytes:
    with reasons():
        try:
            _check_regular(descriptor, fifo=fifo)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MOST_BYTES + 1)
        finally:
            os.close(descriptor)
    if len(content) > MOST_BYTES:
        raise Misread(f"larger than {MOST_BYTES >> 20} MiB")
    return content


def _check_regular(descriptor: int, *, fifo: str | None = None) -> None:
    """Raises `Misread` for all but regular files; `fifo` is the hint for a FIFO."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise Misread(f"this is {kind}, not a file", hint=fifo if stat.S_ISFIFO(mode) else None)
