"""A commit's files, from what `git` lists and gives out, into a private folder: nothing is trusted but the hashes, which
`git` checked. No archive format, no work tree, no attributes, no filters.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from fleet.codes import Code
from fleet.errors import InputError
from fleet.foreign import clean
from fleet.quantities import exact_size

MOST_FILES = 20_000
MOST_BYTES = 1 << 30
_DEEPEST = 64
_LONGEST = 4096
_LONGEST_PART = 255
_MOST_LINKS = 40
"""As many as Linux follows."""
_CHUNK = 1 << 20
_LFS = b"version https://git-lfs.github.com/spec/"
_SHOWN = 3


class Mode(StrEnum):
    """What an entry of a tree is."""

    FILE = "100644"
    PROGRAM = "100755"
    LINK = "120000"
    SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One of a tree. `path` is relative to the repository's root, `size` in bytes."""

    mode: Mode
    object: str
    size: int
    path: str


class Damaged(Exception):
    """`git` gave out something else than it listed."""


def entries(listing: bytes, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> tuple[Entry, ...]:
    """Of `git ls-tree -r -l -z`. Raises `InputError` for a name that no file may have, and for too much of everything."""
    found = tuple(_entry(line) for line in listing.split(b"\0") if line)
    if len(found) > most_files:
        raise refused(f"it has more than {most_files:,} files")
    if sum(entry.size for entry in found) > most_bytes:
        raise refused(f"its files have more than {exact_size(most_bytes)} in all")
    return found


def _entry(line: bytes) -> Entry:
    head, _, name = line.partition(b"\t")
    mode, _, named, size = head.decode("ascii").split()
    path = os.fsdecode(name)
    parts = path.split("/")
    wrong = (
        len(name) > _LONGEST
        or len(parts) > _DEEPEST
        or any(part in {"", ".", ".."} or len(os.fsencode(part)) > _LONGEST_PART for part in parts)
        or any(part.lower() == ".git" for part in parts)
    )
    if wrong or mode not in set(Mode):
        raise refused(f"`{clean(path)}` is no name or kind of file that is taken from a repository")
    return Entry(Mode(mode), named, int(size) if size.isdigit() else 0, path)


def contents(found: Sequence[Entry]) -> tuple[Entry, ...]:
    """Those that have content of their own, in the order in which `unpack` wants it."""
    return tuple(entry for entry in found if entry.mode is not Mode.SUBMODULE)


def unpack(found: Sequence[Entry], batch: BinaryIO, folder: Path) -> tuple[str, ...]:
    """Writes all into the empty `folder`; gives notes for people. `batch` is what `git cat-file --batch` gave out of
    `contents(found)`.

    Raises `InputError` for links that lead out of the repository, `Damaged`, and `OSError`.
    """
    links: dict[str, str] = {}
    pointers: list[str] = []
    for entry in contents(found):
        if entry.mode is Mode.LINK:
            links[entry.path] = os.fsdecode(b"".join(_blob(batch, entry)))
            continue
        target = folder / entry.path
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                first = b""
                for chunk in _blob(batch, entry):
                    first = first or chunk[: len(_LFS)]
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError):
            raise refused(f"`{clean(entry.path)}` is in it twice") from None
        if first == _LFS:
            pointers.append(entry.path)
    # Links come last, so that no file is written through one.
    for path, target_text in links.items():
        _check_link(path, links)
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.symlink(target_text, target)  # noqa: PTH211  # the text stays as it is
    modules = [entry.path for entry in found if entry.mode is Mode.SUBMODULE]
    return (
        *_note(modules, "is a submodule", "are submodules", "submodules are not followed"),
        *_note(pointers, "is a Git LFS pointer", "are Git LFS pointers", "their files are not fetched"),
    )


def _blob(batch: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """`<object> blob <size>`, that many bytes, and the end of a line."""
    head = batch.readline(256).split()
    if head != [entry.object.encode(), b"blob", str(entry.size).encode()]:
        raise Damaged
    left = entry.size
    while left:
        chunk = batch.read(min(left, _CHUNK))
        if not chunk:
            raise Damaged
        left -= len(chunk)
        yield chunk
    if batch.read(1) != b"\n":
        raise Damaged


def _check_link(path: str, links: Mapping[str, str]) -> None:
    """Raises `InputError` where a link leads out of the repository, over whichever others."""
    way: list[str] = []
    ahead = deque(path.split("/"))
    followed = 0
    while ahead:
        part = ahead.popleft()
        if part in {"", "."}:
            continue
        if part == "..":
            if not way:
                raise refused(f"the symbolic link `{clean(path)}` leads out of the repository")
            way.pop()
            continue
        way.append(part)
        target = links.get("/".join(way))
        if target is None:
            continue
        followed += 1
        if followed > _MOST_LINKS:
            raise refused(f"the symbolic link `{clean(path)}` leads in a circle")
        if target.startswith("/") or not target or "\0" in target:
            raise refused(f"the symbolic link `{clean(path)}` leads out of the repository")
        way.pop()
        ahead.extendleft(reversed(target.split("/")))


def refused(why: str) -> InputError:
    """A commit that is not taken."""
    return InputError(f"the commit is refused: {why}", code=Code.COMMIT_REFUSED, hint=Code.COMMIT_REFUSED.cure)


def _note(paths: Sequence[str], one: str, many: str, so: str) -> Iterator[str]:
    if not paths:
        return
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    yield f"{', '.join(f'`{clean(path)}`' for path in paths[:_SHOWN])}{more} {one if len(paths) == 1 else many}: {so}."
