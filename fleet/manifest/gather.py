"""Collects the documents of many files, within limits on all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from fleet.manifest.document import Document, read_document
from fleet.manifest.faults import Faults, Misread
from fleet.manifest.files import MOST_BYTES, MOST_BYTES_IN_ALL, STDIN, Source, find_sources, read_source, resolved
from fleet.manifest.inventory import Place
from fleet.manifest.reading import read_documents
from fleet.manifest.shape import Reader


class Gathering:
    """Reads files one after the other; a file that comes up twice is read once. Faults go to `faults`."""

    def __init__(self, folder: Path, stdin: BinaryIO | None, faults: Faults) -> None:
        self.folder = folder
        self.stdin = stdin
        self.faults = faults
        self._total = 0
        self._seen: set[Path] = set()

    def documents(self, paths: Sequence[str], *, inventory_apart: bool) -> list[Document]:
        """The documents of these paths, in order. With an inventory apart, its keys are faults here."""
        found: list[Document] = []
        for source in find_sources(paths, self.folder, self.faults):
            try:
                content = self._content(source)
            except Misread as error:
                self.faults.add(Place(source.shown, 1, 1), "", str(error), error.hint)
                continue
            if content is None:
                continue
            # The tree of a file is dropped before the next one is read: it takes far more room than what it says.
            reader = Reader(source.shown, str(source.path.parent.resolve()), self.faults)
            for node in read_documents(content, source.shown, self.faults):
                document = read_document(node, reader, inventory_apart=inventory_apart)
                if document is not None:
                    found.append(document)
        return found

    def _content(self, source: Source) -> bytes | None:
        """The bytes, or nothing where the same file was read already."""
        real = Path(STDIN) if source.shown == STDIN else resolved(source.path)
        if real in self._seen:
            return None
        self._seen.add(real)
        if source.shown == STDIN:
            content = self.stdin.read(MOST_BYTES + 1) if self.stdin else b""
            if len(content) > MOST_BYTES:
                raise Misread(f"larger than {MOST_BYTES >> 20} MiB")
        else:
            content = read_source(source)
        self._total += len(content)
        if self._total > MOST_BYTES_IN_ALL:
            raise Misread(f"with this file, more than {MOST_BYTES_IN_ALL >> 20} MiB in all")
        return content
