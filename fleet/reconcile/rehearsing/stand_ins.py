"""What of a pass is another thing in its rehearsal: hosts are copies, checks expect nothing, uploads send next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from fleet.manifest.item import Desired, HostDesired, Item
from fleet.manifest.local import local_files
from fleet.names import HostName
from fleet.reconcile.checks.verdict import questions_of
from fleet.reconcile.difference import LocalBlob
from fleet.reconcile.rehearsing.kept_memory import without_expectations
from fleet.reconcile.steps.uploads import Uploads
from fleet.simulate.blobs import Content
from fleet.simulate.elsewhere import OnDisk, hollowed
from fleet.weights.blocks import Blocks
from fleet.weights.local import Format, LocalFile


def on_copies(desired: Desired, url: Callable[[HostName], str]) -> Desired:
    """The same asked of the copies: at their addresses, without credentials. Hosts share what they shared before."""
    items = {id(item): item for host in desired.hosts.values() for item in host.items}
    asked = {key: _asked_of_copy(item) for key, item in items.items()}
    tuples: dict[int, tuple[Item, ...]] = {}
    hosts: dict[HostName, HostDesired] = {}
    for name, wanted in desired.hosts.items():
        if id(wanted.items) not in tuples:
            tuples[id(wanted.items)] = tuple(asked[id(item)] for item in wanted.items)
        host = replace(wanted.host, url=url(name), auth=None, tls=None)
        hosts[name] = replace(wanted, host=host, items=tuples[id(wanted.items)])
    return replace(desired, hosts=hosts)


def _asked_of_copy(item: Item) -> Item:
    return replace(item, check=without_expectations(item.check)) if item.check else item


def questions(desired: Desired) -> dict[str, str]:
    """The hash of what each check asks in its rehearsal, by the hash of what it really asks."""
    return {
        questions_of(item.check): questions_of(without_expectations(item.check))
        for host in desired.hosts.values()
        for item in host.items
        if item.check
    }


def local_contents(desired: Desired) -> dict[str, Content]:
    """What stands for each local file on the hosts, by its `sha256:…`: the file itself, read where it lies; of a large
    GGUF its header and its size. Raises `OSError`.
    """
    return {str(file.digest): _content(file) for file in local_files(desired) if file.digest is not None}


def _content(file: LocalFile) -> Content:
    content = OnDisk(file.path, file.stamp.size)
    return hollowed(content, str(file.digest)) if file.format is Format.GGUF else content


class FewBytes(Uploads):
    """Sends a byte in place of each file, to hosts that take it for what it says it is. Archives, which only servers up to
    0.5.4 want, are sent as they are: what is made of them depends on all of their bytes.
    """

    async def open(self, blob: LocalBlob) -> AbstractContextManager[Blocks]:
        return nullcontext(_OneByte()) if blob.digest is not None else await super().open(blob)


class _OneByte:
    size = 1

    def __iter__(self) -> Iterator[memoryview]:
        yield memoryview(b"\0")
