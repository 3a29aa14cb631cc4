"""The zip of a safetensors folder: the same bytes each time, readable by everybody, and nowhere on disk."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.names import Digest
from fleet.weights.blocks import SharedReads
from fleet.weights.faults import ChangedWeights
from fleet.weights.hashing import SETTLED
from fleet.weights.layout import Layout
from fleet.weights.local import Format, LocalFile, Stamp
from fleet.weights.zipped import Archive, archive_of
from tests.weights.making import folder, local, safetensors


def files_of(root: Path) -> list[LocalFile]:
    """All files of a folder, in no particular order."""
    return [
        local(path, key=str(path.relative_to(root))) for path in sorted(root.rglob("*"), reverse=True) if path.is_file()
    ]


def content(archive: Archive, reads: SharedReads | None = None) -> bytes:
    with archive.open(reads) as blocks:
        return b"".join(map(bytes, blocks))


def test_it_has_all_files_under_their_keys(tmp_path: Path) -> None:
    root = folder(tmp_path / "model", files=2)
    (root / "größe.json").write_bytes(b"{}")
    (root / "large.safetensors").write_bytes((8).to_bytes(8, "little") + b"{}      " + os.urandom(5 << 20))
    archive = asyncio.run(archive_of(files_of(root)))
    told = content(archive)
    assert len(told) == archive.size
    assert Digest(hashlib.sha256(told).hexdigest()) == archive.digest
    with zipfile.ZipFile(io.BytesIO(told)) as there:
        assert there.testzip() is None
        assert {name: there.read(name) for name in there.namelist()} == {
            str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
        assert {entry.compress_type for entry in there.infolist()} == {zipfile.ZIP_STORED}


def test_it_is_the_same_wherever_whenever_and_in_whatever_order(tmp_path: Path) -> None:
    here, there = folder(tmp_path / "here"), folder(tmp_path / "there")
    os.utime(there / "config.json", (0, 0))
    (there / "config.json").chmod(0o600)
    one = asyncio.run(archive_of(files_of(here)))
    other = asyncio.run(archive_of(reversed(files_of(there))))
    assert (one.digest, one.size) == (other.digest, other.size)
    assert content(one) == content(other)


def test_several_uploads_of_one_share_their_reads(tmp_path: Path) -> None:
    root = folder(tmp_path / "model")
    (root / "model.safetensors").write_bytes(safetensors({"a": (1 << 20,)}))
    archive = asyncio.run(archive_of(files_of(root)))
    reads = SharedReads(block=1 << 17)
    with archive.open(reads) as one, archive.open(reads) as other:
        assert all(bytes(mine) == bytes(its) for mine, its in zip(one, other, strict=True))
    assert reads.reads <= 17 + 1 + 2 * (len(archive.files) - 1)  # only who comes second finds what the first left


@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 200))
def test_large_sizes_and_offsets_take_64_bits(contents: list[bytes], large: int) -> None:
    files = [
        LocalFile(f"{number}.json", "", "", Stamp(0, number, len(each), 0, 0), Format.TEXT)
        for number, each in enumerate(contents)
    ]
    layout = Layout(files, large)
    sums = [zlib.crc32(each) for each in contents]
    told = b"".join(layout.before(n) + each + layout.behind(n, sums[n]) for n, each in enumerate(contents))
    told += layout.end(sums)
    assert len(told) == layout.size
    with zipfile.ZipFile(io.BytesIO(told)) as there:
        assert [there.read(f"{number}.json") for number in range(len(contents))] == contents


class Remembered(dict[Stamp, Digest]):
    def put(self, stamp: Stamp, digest: Digest) -> None:
        self[stamp] = digest


def test_its_digest_is_remembered_until_any_file_changes(tmp_path: Path) -> None:
    root = folder(tmp_path / "model")
    files, cache = files_of(root), Remembered()
    now = max(file.stamp.ctime_ns for file in files) + SETTLED
    told: list[str] = []

    def again(files: list[LocalFile], *, rehash: bool = False) -> Archive:
        told.clear()
        return asyncio.run(
            archive_of(files, cache, rehash=rehash, progress=lambda file, _: told.append(file.key), now=lambda: now)
        )

    archive = again(files)
    assert len(told) == len(files)
    assert again(files) == archive
    assert told == []
    assert again(files, rehash=True) == archive
    assert len(told) == len(files)
    renamed = [replace(file, key=f"sub/{file.key}") for file in files]
    assert again(renamed).digest != archive.digest
    (root / "config.json").write_bytes(b'{"architectures": []}')
    with pytest.raises(ChangedWeights):
        content(archive)
    now += 10 * SETTLED
    assert again(files_of(root)).digest != archive.digest
    assert len(told) == len(files)
