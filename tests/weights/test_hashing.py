"""Digests of files: once per version, never of a file that changed, and never for longer than somebody waits."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from fleet.names import Digest
from fleet.weights.faults import ChangedWeights, InvalidFiles, InvalidWeights
from fleet.weights.hashing import BLOCK, SETTLED, Stopped, digest_of, hash_files
from fleet.weights.local import Format, LocalFile, Stamp


class Remembered(dict[Stamp, Digest]):
    """A cache that tells what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Stamp] = []

    def get(self, stamp: Stamp) -> Digest | None:  # type: ignore[override] # as the state database has it
        self.asked.append(stamp)
        return super().get(stamp)

    def put(self, stamp: Stamp, digest: Digest) -> None:
        self[stamp] = digest


def written(path: Path, content: bytes, sha256: Digest | None = None) -> LocalFile:
    path.write_bytes(content)
    os.utime(path, (1, 1))  # whatever happens to it happens later, however coarse the system's clock is
    return LocalFile(path.name, str(path), path.name, Stamp.of(path.stat()), Format.GGUF, sha256=sha256)


def sha256(content: bytes) -> Digest:
    return Digest(hashlib.sha256(content).hexdigest())


def hashed(
    files: Iterable[LocalFile],
    cache: Remembered | None = None,
    *,
    rehash: bool = False,
    progress: Callable[[LocalFile, int], None] | None = None,
    age: int = SETTLED,
) -> Mapping[str, Digest]:
    """The digests, where the newest file was written `age` nanoseconds ago."""
    files = list(files)
    now = max(max(file.stamp.mtime_ns, file.stamp.ctime_ns) for file in files) + age
    return asyncio.run(hash_files(files, cache, rehash=rehash, progress=progress, now=lambda: now))


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_the_digest_is_that_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    assert digest_of(written(tmp_path / "a", content)) == sha256(content)


@pytest.mark.fault("U14")
def test_each_version_of_a_file_is_hashed_once(tmp_path: Path) -> None:
    cache, told = Remembered(), list[str]()
    a, b = written(tmp_path / "a", b"a"), written(tmp_path / "b", b"b")
    os.link(tmp_path / "a", tmp_path / "c")
    a = replace(a, stamp=Stamp.of((tmp_path / "a").stat()))  # a link counts as a change
    c = replace(a, path=str(tmp_path / "c"))
    found = hashed([a, b, c], cache, progress=lambda file, size: told.append(f"{file.key} {size}"))
    assert found == {a.path: sha256(b"a"), b.path: sha256(b"b"), c.path: sha256(b"a")}
    assert sorted(told) == ["a 1", "b 1"]
    # That these are never opened again is seen by their being gone.
    (tmp_path / "a").unlink()
    (tmp_path / "b").unlink()
    assert hashed([a, b, c], cache, progress=lambda file, size: told.append(f"{file.key} {size}")) == found
    assert sorted(told) == ["a 1", "a 1", "b 1", "b 1"]  # what is known counts as done
    with pytest.raises(InvalidFiles, match="b: moved, removed or replaced since"):
        hashed([b], cache, rehash=True)


@pytest.mark.fault("U14")
def test_a_file_written_just_now_is_hashed_anew(tmp_path: Path) -> None:
    cache = Remembered()
    file = written(tmp_path / "a", b"a")
    hashed([file], cache, age=SETTLED - 1)
    assert not cache
    hashed([file], cache)
    assert cache
    cache.asked.clear()
    hashed([file], cache, age=SETTLED - 1)
    assert not cache.asked


@pytest.mark.fault("U14")
def test_times_that_were_set_back_deceive_nobody(tmp_path: Path) -> None:
    cache = Remembered()
    path = tmp_path / "a"
    before = written(path, b"one")
    hashed([before], cache)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    while path.stat().st_ctime_ns == before.stamp.ctime_ns:  # coarse clocks show nothing for some milliseconds
        path.write_bytes(b"two")
    os.utime(path, ns=times)
    after = replace(before, stamp=Stamp.of(path.stat()))
    assert (after.stamp.size, after.stamp.mtime_ns) == (before.stamp.size, before.stamp.mtime_ns)
    assert hashed([after], cache) == {after.path: sha256(b"two")}


def test_the_declared_digest_is_held(tmp_path: Path) -> None:
    right = written(tmp_path / "right", b"a", sha256=sha256(b"a"))
    wrong = written(tmp_path / "wrong", b"a", sha256=sha256(b"b"))
    assert hashed([right]) == {right.path: sha256(b"a")}
    for _ in range(2):  # what is remembered is held against it as well
        with pytest.raises(InvalidFiles) as caught:
            hashed([right, wrong], Remembered())
        assert [file.key for file, _ in caught.value.faults] == ["wrong"]
        assert str(sha256(b"a")) in str(caught.value)
        assert str(sha256(b"b")) in str(caught.value)


def test_all_that_is_wrong_is_told_together(tmp_path: Path) -> None:
    files = [written(tmp_path / name, b"x") for name in ("good", "gone", "grown", "link", "fifo")]
    paths = [Path(file.path) for file in files]
    for path in (paths[1], paths[3], paths[4]):
        path.unlink()
    paths[2].write_bytes(b"xy")
    paths[3].symlink_to(paths[0])
    os.mkfifo(paths[4])
    with pytest.raises(InvalidFiles) as caught:
        hashed(files)
    assert [file.key for file, _ in caught.value.faults] == ["gone", "grown", "link", "fifo"]
    assert all(isinstance(fault, ChangedWeights) for _, fault in caught.value.faults)
    assert str(caught.value).splitlines()[1] == "grown: changed since the manifests were read"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    file = replace(written(tmp_path / "a", b"a"), path=str(tmp_path / ("x" * 300)))
    with pytest.raises(InvalidWeights, match="cannot be read: File name too long"):
        digest_of(file)


@pytest.mark.fault("U4")
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(bytes(70 * BLOCK)),
        lambda path: os.truncate(path, 69 * BLOCK),
        lambda path: os.truncate(path, 71 * BLOCK),
        lambda path: os.utime(path, ns=(0, 0)),
    ],
    ids=["edited", "truncated", "grown", "touched"],
)
def test_a_file_that_changes_while_it_is_read_has_no_digest(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "a"
    file = written(path, os.urandom(70 * BLOCK))

    def meanwhile(_: int) -> None:
        if not changed:
            changed.append(change(path))

    changed: list[object] = []
    with pytest.raises(ChangedWeights):
        digest_of(file, told=meanwhile)


def test_reading_ends_once_it_is_given_up(tmp_path: Path) -> None:
    stop, told = Event(), list[int]()
    file = written(tmp_path / "a", bytes(200 * BLOCK))

    def give_up(size: int) -> None:
        told.append(size)
        stop.set()

    with pytest.raises(Stopped):
        digest_of(file, told=give_up, stop=stop)
    assert told == [64 * BLOCK]


def test_cancelling_ends_all_reading(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 1 << 40)  # hours, if it went on
    files = [replace(written(tmp_path / f"{n}", b""), path=str(path), stamp=Stamp.of(path.stat())) for n in range(3)]

    async def main() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(hash_files(files, None, progress=lambda *_: begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
