"""Reading in order, with and without a thread that is ahead: the same blocks, the same faults, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from fleet.names import Digest
from fleet.weights.faults import InvalidWeights
from fleet.weights.hashing import digest_of
from fleet.weights.local import Format, LocalFile, Stamp
from fleet.weights.reading import AHEAD, ahead, in_turn
from fleet.weights.unchanged import unchanged

BLOCK = 64
Reading = Callable[[int, int], Generator[memoryview, None, None]]
EACH = pytest.mark.parametrize("reading", [in_turn, ahead])


def nobody_reads() -> bool:
    return "read-ahead" not in [thread.name for thread in threading.enumerate()]


def look(path: Path) -> LocalFile:
    return LocalFile(path.name, str(path), path.name, Stamp.of(path.stat()), Format.GGUF)


@EACH
@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 9 * BLOCK])
def test_the_blocks_are_the_file(tmp_path: Path, reading: Reading, size: int) -> None:
    path, content = tmp_path / "a", os.urandom(size)
    path.write_bytes(content)
    with unchanged(look(path)) as descriptor:
        assert b"".join(bytes(block) for block in reading(descriptor, BLOCK)) == content
    assert nobody_reads()


@EACH
def test_what_cannot_be_read_is_said_by_whom_is_asked(tmp_path: Path, reading: Reading) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(InvalidWeights, match="cannot be read: Is a directory"):
            list(reading(folder, BLOCK))
    finally:
        os.close(folder)
    assert nobody_reads()


def test_who_stops_early_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100 * BLOCK))
    with unchanged(look(path)) as descriptor:
        blocks = ahead(descriptor, BLOCK)
        next(blocks)
        blocks.close()
        assert nobody_reads()


def test_no_more_is_read_ahead_than_there_is_room_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(100 * BLOCK))
    with unchanged(look(path)) as descriptor:
        blocks = ahead(descriptor, BLOCK)
        different = {id(block.obj) for block in blocks}
    assert len(different) == AHEAD


def test_a_large_file_has_the_same_digest_either_way(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.truncate(path, 64 << 20)
    wanted = Digest(hashlib.sha256(bytes(64 << 20)).hexdigest())
    assert digest_of(look(path)) == digest_of(look(path), spare=True) == wanted
