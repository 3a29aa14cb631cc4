"""The files on this machine that a desired state needs, and their digests put into it.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fleet.manifest.item import Create, Desired, HostDesired, Item
from fleet.names import Digest, HostName
from fleet.weights.local import LocalFile


def local_files(desired: Desired) -> tuple[LocalFile, ...]:
    """Every file once, by its path, in the order of paths.

    Where one entry says what the file must be and another does not, the one that says it is given.
    """
    found: dict[str, LocalFile] = {}
    for item in _items(desired):
        if isinstance(item.source, Create):
            for file in item.source.local_files:
                before = found.get(file.path)
                if before is None or (before.sha256 is None and file.sha256 is not None):
                    found[file.path] = file
    return tuple(file for _, file in sorted(found.items()))


def with_digests(desired: Desired, digest_of: Callable[[LocalFile], Digest]) -> Desired:
    """The same with `LocalFile.digest` filled in everywhere; hosts share what they shared before.

    `digest_of` is asked once for each file and each digest that the manifest says it has.
    """
    digests: dict[tuple[str, Digest | None], Digest] = {}

    def filled(files: tuple[LocalFile, ...]) -> tuple[LocalFile, ...]:
        return tuple(replace(file, digest=known(file)) for file in files)

    def known(file: LocalFile) -> Digest:
        key = (file.path, file.sha256)
        if key not in digests:
            digests[key] = digest_of(file)
        return digests[key]

    items = {id(item): _filled(item, filled) for item in _items(desired)}
    tuples: dict[int, tuple[Item, ...]] = {}
    hosts: dict[HostName, HostDesired] = {}
    for name, wanted in desired.hosts.items():
        if id(wanted.items) not in tuples:
            tuples[id(wanted.items)] = tuple(items[id(item)] for item in wanted.items)
        hosts[name] = replace(wanted, items=tuples[id(wanted.items)])
    return replace(desired, hosts=hosts)


def _filled(item: Item, filled: Callable[[tuple[LocalFile, ...]], tuple[LocalFile, ...]]) -> Item:
    source = item.source
    if not isinstance(source, Create) or not source.local_files:
        return item
    files, adapters, drafts = (filled(files) for files in (source.files, source.adapters, source.drafts))
    return replace(item, source=replace(source, files=files, adapters=adapters, drafts=drafts))


def _items(desired: Desired) -> list[Item]:
    """Each item once, however many hosts share it."""
    return list({id(item): item for wanted in desired.hosts.values() for item in wanted.items}.values())
