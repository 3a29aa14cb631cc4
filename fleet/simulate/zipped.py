"""Zips of safetensors, as clients of servers up to 0.5.4 send them (`ollama-api.md` 7.2)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import cast

from fleet.simulate.blobs import CHUNK, Content, Intake, Slice
from fleet.simulate.imports import ImportRefusedError
from fleet.simulate.safetensors import File, Folder

_LOCAL_HEADER = 30
"""Bytes before the name in the entry's own header; the lengths of name and extra stand in its last four."""


class _Seekable(io.RawIOBase):
    """A content as a file that is read."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._content.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        room = cast("memoryview", buffer)
        piece = self._content.read(self._at, self._at + len(room))
        room[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def unzipped(content: Content) -> Folder:
    """The files of a zip. Raises `ImportRefusedError`."""
    try:
        with zipfile.ZipFile(io.BufferedReader(_Seekable(content))) as archive:
            files = {entry.filename: _file(archive, entry, content) for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        raise ImportRefusedError("zip: not a valid zip file") from None
    return Folder(files, missing="file does not exist")


def _file(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, content: Content) -> File:
    if entry.compress_type == zipfile.ZIP_STORED:
        lengths = content.read(entry.header_offset + _LOCAL_HEADER - 4, entry.header_offset + _LOCAL_HEADER)
        start = entry.header_offset + _LOCAL_HEADER
        start += int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        stored = Slice(content, start, start + entry.file_size)
        return File(_digest(stored), stored)
    intake = Intake()
    with archive.open(entry) as opened:
        while piece := opened.read(CHUNK):
            intake.add(piece)
    return File(intake.digest, intake.content())


def _digest(content: Content) -> str:
    found = hashlib.sha256()
    for place in range(0, content.size, CHUNK):
        found.update(content.read(place, place + CHUNK))
    return f"sha256:{found.hexdigest()}"
