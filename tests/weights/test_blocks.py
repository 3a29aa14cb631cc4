"""Several uploads of one file read it once; none gets a byte of anything else."""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.weights.blocks import BLOCK, MOST_KEPT, SharedReads
from fleet.weights.faults import ChangedWeights
from fleet.weights.local import Format, LocalFile, Stamp

SMALL = 64
"""Bytes of a block here."""


def written(path: Path, content: bytes) -> LocalFile:
    path.write_bytes(content)
    os.utime(path, (0, 0))  # whatever happens to it happens later, however coarse the system's clock is
    return LocalFile(path.name, str(path), path.name, Stamp.of(path.stat()), Format.GGUF)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalFile, bytes]:
    """A file of ten blocks and a bit."""
    content = os.urandom(10 * SMALL + 5)
    return written(tmp_path_factory.mktemp("blocks") / "ten", content), content


def whole(reads: SharedReads, file: LocalFile) -> bytes:
    with reads.open(file) as blocks:
        return b"".join(map(bytes, blocks))


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, 9 * SMALL])
def test_one_upload_gets_all_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    reads = SharedReads(block=SMALL)
    file = written(tmp_path / "a", content)
    with reads.open(file) as blocks:
        assert blocks.size == size
        assert b"".join(map(bytes, blocks)) == content
    assert reads.reads == -(-size // SMALL)


@pytest.mark.fault("U15")
def test_uploads_side_by_side_read_once(ten: tuple[LocalFile, bytes]) -> None:
    file, content = ten
    reads = SharedReads(block=SMALL)
    with ExitStack() as stack:
        uploads = [stack.enter_context(reads.open(file)) for _ in range(50)]
        got = [b"".join(each) for each in zip(*([bytes(block) for block in blocks] for blocks in uploads), strict=True)]
    assert got == [content[at : at + SMALL] * 50 for at in range(0, len(content), SMALL)]
    assert reads.reads == 11


@given(st.data())
def test_whoever_comes_lags_or_leaves_gets_the_right_bytes(ten: tuple[LocalFile, bytes], data: st.DataObject) -> None:
    file, content = ten
    reads = SharedReads(block=SMALL, most_kept=data.draw(st.integers(0, 6)))
    with ExitStack() as stack:
        uploads: list[tuple[ExitStack, Iterator[memoryview], bytearray]] = []
        for _ in range(data.draw(st.integers(5, 60))):
            turn = data.draw(st.integers(-1, len(uploads)))
            if turn < 0 and uploads:
                uploads.pop()[0].close()
            elif turn < 0 or turn == len(uploads):
                own = stack.enter_context(ExitStack())
                uploads.append((own, iter(own.enter_context(reads.open(file))), bytearray()))
            else:
                uploads[turn][2].extend(next(uploads[turn][1], b""))
        assert all(got + b"".join(map(bytes, blocks)) == content for _, blocks, got in uploads)


def test_threads_that_run_as_they_like_get_the_right_bytes(tmp_path: Path) -> None:
    content = os.urandom(400 * SMALL + 7)
    file = written(tmp_path / "a", content)
    reads = SharedReads(block=SMALL, most_kept=8)
    together = Barrier(8)

    def upload(number: int) -> bytes:
        got = bytearray()
        with reads.open(file) as blocks:
            together.wait()
            for at, block in enumerate(blocks):
                got += block
                if number == 0 and at == 100:
                    break
        return bytes(got)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(upload, range(8)))
    assert got == [content[: 101 * SMALL], *[content] * 7]
    assert reads.reads >= 401


@pytest.mark.fault("U15")
def test_memory_has_a_bound_whatever_the_sizes(tmp_path: Path) -> None:
    files = []
    for number in range(4):
        path = tmp_path / f"{number}"
        path.touch()
        os.truncate(path, 100 * BLOCK)
        files.append(LocalFile(path.name, str(path), path.name, Stamp.of(path.stat()), Format.GGUF))
    reads = SharedReads()

    def upload_all() -> None:
        with ExitStack() as stack:
            uploads = [iter(stack.enter_context(reads.open(file))) for file in files for _ in range(2)]
            for turn in range(100):
                # Of each pair one lags, so that everything which may be kept is kept.
                for number, blocks in enumerate(uploads):
                    if number % 2 == 0 or turn % 3 == 0:
                        next(blocks)

    tracemalloc.start()
    try:
        upload_all()
        left, most = tracemalloc.get_traced_memory()
        assert left < BLOCK
        assert most < (MOST_KEPT + 8 + 1) * BLOCK
    finally:
        tracemalloc.stop()


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda path: path.write_bytes(path.read_bytes()[::-1]),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "grown": lambda path: os.truncate(path, path.stat().st_size + 1),
    "removed": lambda path: path.unlink(),
    "replaced": replaced,
}


@pytest.mark.fault("U4")
@pytest.mark.parametrize("change", CHANGES)
def test_the_last_block_of_a_file_that_changed_is_withheld(tmp_path: Path, change: str) -> None:
    chosen = random.Random(change)
    path = tmp_path / "a"
    got = bytearray()

    def upload(file: LocalFile, when: int) -> None:
        """The file changes before as many blocks as `when` says were taken from it."""
        with SharedReads(block=SMALL).open(file) as blocks:
            if when == 0:
                CHANGES[change](path)
            for number, block in enumerate(blocks, 1):
                got.extend(block)
                if number == when:
                    CHANGES[change](path)

    for _ in range(40):
        number = chosen.randint(1, 6)
        file = written(path, os.urandom(number * SMALL - chosen.randint(0, SMALL - 1)))
        got.clear()
        with pytest.raises(ChangedWeights):
            upload(file, chosen.randrange(number))
        assert len(got) < file.stamp.size
        path.unlink(missing_ok=True)


@pytest.mark.fault("U6")
def test_what_took_the_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    secret, path = tmp_path / "secret", tmp_path / "inside" / "a"
    secret.write_bytes(b"secret")
    path.parent.mkdir()
    file = written(path, b"public")
    reads = SharedReads()
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(ChangedWeights), reads.open(file):
        pass
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ChangedWeights), reads.open(file):
        pass
    path.unlink()
    path.parent.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_bytes(b"secret")
    path.parent.symlink_to(elsewhere)
    with pytest.raises(ChangedWeights), reads.open(file):
        pass
    assert reads.reads == 0


def test_versions_of_one_path_are_not_mixed(tmp_path: Path) -> None:
    reads = SharedReads(block=SMALL)
    path = tmp_path / "a"
    with reads.open(written(path, b"a" * 3 * SMALL)) as old:
        blocks = iter(old)
        assert bytes(next(blocks)) == b"a" * SMALL
        path.unlink()
        after = written(path, b"b" * 3 * SMALL)
        assert whole(reads, after) == b"b" * 3 * SMALL
        with pytest.raises(ChangedWeights):
            list(blocks)
    assert whole(reads, replace(after, key="c")) == b"b" * 3 * SMALL
