"""Bytes that grow past what is held in memory, written and read in any order."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.simulate.spool import Spool

LIMIT = 4 << 20
HANDLES = Path("/proc/self/fd")


def open_files() -> int:
    return sum(1 for _ in HANDLES.iterdir())


@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2 * LIMIT)), max_size=5), at=st.floats(0, 1))
def test_it_holds_what_a_bytearray_would(pieces: list[tuple[float, int]], at: float) -> None:
    spool, model = Spool(), bytearray()
    for number, (where, length) in enumerate(pieces):
        position, piece = int(where * len(model)), bytes([65 + number]) * length
        spool.write(position, piece)
        model[position : position + length] = piece
        start = int(at * len(model))
        assert (spool.size, spool.read(start, start + 1000)) == (len(model), bytes(model[start : start + 1000]))
    assert spool.read(0, 3 * LIMIT * len(pieces)) == bytes(model)


@pytest.mark.skipif(not HANDLES.exists(), reason="open files are counted in /proc")
def test_its_file_goes_with_it() -> None:
    gc.collect()
    before = open_files()
    spool = Spool()
    spool.write(0, bytes(LIMIT + 1))
    assert open_files() == before + 1
    del spool
    assert open_files() == before
